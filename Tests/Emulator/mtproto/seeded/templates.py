"""Messages as bytes with places to fill in, so that a page of a hundred costs less than one made of objects."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from ..peers import channel_id, peer
from ..tl import types, where_known
from . import texts
from .media import Library

if TYPE_CHECKING:
    from ..account import Account
    from .script import Script

# Places in the list of a message's values. Those up to REPLIED are 32-bit numbers.
ID, DATE, EDITED, REPLY, TOPIC, VIEWS, FORWARDS, REACTIONS, COMMENTS, FWD_DATE, FWD_POST, REPLIED = range(12)
SENDER, ALBUM, NUMBER = 12, 13, 14
COUNT = 15
POOLS = [
    ("plain", 256), ("album", 32), ("topics", 192), ("thread", 192), ("copy", 32), ("created", 1), ("topic", 1024),
    ("migrated_to", 1), ("migrated_from", 1),
]  # fmt: skip
"""The kinds of templates, and how many there are of each."""
_INT, _LONG = 0x71A00000, 0x71B0C0D000000000
_MARKS = [_INT + 0x101 * place if place <= REPLIED else _LONG + 0x10101 * place for place in range(NUMBER)]
_DIGITS = texts.NUMBER.encode()


@dataclass
class Template:
    pack: Callable[..., bytes]
    pick: Callable[[Sequence[Any]], tuple[Any, ...]]
    fixed: list[bytes]
    """The bytes between the places."""
    fields: frozenset[int]
    """The values that are filled in."""
    kind: str
    text: str = ""
    """The text or caption, with the number's stand-in."""
    sender: int | None = None
    """A sender that is always the same; None where it is filled in."""
    reply: int | None = None
    """Which value is the id of the answered message, in the Bot API's sense; None if it answers none."""
    topic: int | None = None
    forwarded_from: int | None = None
    """The user or chat that a forwarded message names as its origin."""
    users: tuple[int, ...] = ()
    chats: tuple[int, ...] = ()
    has_sender: bool = False
    """Whether the sender is filled in."""
    edited: Template | None = None
    """The same with an edit date; None for what cannot be edited."""

    def fill(self, values: list[Any]) -> bytes:
        """- Parameter values: those of a fate, and the number's digits."""
        return self.pack(*self.pick(values + self.fixed))


def compile_template(message: Any, **known: Any) -> Template:
    """Finds the places of the marks in a message's bytes, and makes of all a single format."""
    data = bytes(message)
    found = [(place, NUMBER, len(_DIGITS)) for place in _places(data, _DIGITS)]
    for value, mark in enumerate(_MARKS):
        pattern = struct.pack("<i" if value <= REPLIED else "<q", mark)
        found += [(place, value, len(pattern)) for place in _places(data, pattern)]
    form, end = "<", 0
    order: list[int] = []
    fixed: list[bytes] = []
    for place, value, length in sorted(found):
        form += f"{place - end}s" + (f"{length}s" if value == NUMBER else "i" if value <= REPLIED else "q")
        order += [COUNT + len(fixed), value]
        fixed.append(data[end:place])
        end = place + length
    form += f"{len(data) - end}s"
    order.append(COUNT + len(fixed))
    fixed.append(data[end:])
    fields = frozenset(value for _, value, _ in found)
    return Template(struct.Struct(form).pack, itemgetter(*order), fixed, fields, has_sender=SENDER in fields, **known)


def _places(data: bytes, pattern: bytes) -> Iterator[int]:
    place = data.find(pattern)
    while place >= 0:
        yield place
        place = data.find(pattern, place + 1)


@dataclass
class Draft:
    """Collects what a template needs beside its message."""

    chance: random.Random
    kind: str = "text"
    text: str = ""
    origin: int | None = None
    users: list[int] = field(default_factory=list)
    chats: list[int] = field(default_factory=list)


class Workshop:
    """Makes the templates of one history as one account sees it."""

    def __init__(self, script: Script, account: Account, library: Library) -> None:
        self._script, self._account, self._library = script, account, library
        self.pools: list[list[Template | None]] = [[None] * size for _, size in POOLS]
        """Those that were made."""

    def make(self, pool: int, number: int) -> Template:
        made = self.pools[pool][number] = self._make(POOLS[pool][0], number)
        return made

    def _make(self, pool: str, number: int) -> Template:
        chance = random.Random(f"{self._script.seed}/{pool}/{number}")
        draft = Draft(chance)
        if pool in ("created", "topic", "migrated_to", "migrated_from"):
            return self._service(draft, pool, number)
        if pool == "plain" and chance.random() < 0.04:
            return self._service(draft, pool, number)
        return self._message(draft, pool)

    def _sender(self, draft: Draft) -> tuple[dict[str, Any], int | None]:
        """Returns the fields that tell the sender, and the sender if it is always the same."""
        script, chance = self._script, draft.chance
        if script.kind == "channel":
            return {"post": True}, script.chat_id
        if script.kind == "private":
            if chance.random() < 0.5:
                return {}, script.chat_id
            return {"out": True, "from_id": types.PeerUser(self._account.id)}, self._account.id
        if chance.random() < 0.02:
            return {"from_id": peer(script.chat_id)}, script.chat_id
        return {"from_id": types.PeerUser(_MARKS[SENDER])}, None

    def _service(self, draft: Draft, pool: str, number: int) -> Template:
        script = self._script
        action, reply = self._action(draft, pool, number), None
        if isinstance(action, types.MessageActionPinMessage):
            reply = types.MessageReplyHeader(reply_to_msg_id=_MARKS[REPLIED])
        sender, constant = self._sender(draft)
        message = types.MessageService(
            id=_MARKS[ID], peer_id=peer(script.chat_id), date=_MARKS[DATE], action=action, reply_to=reply, **sender
        )
        return compile_template(
            message, kind=f"service:{type(action).__name__}", sender=constant, users=tuple(draft.users)
        )

    def _action(self, draft: Draft, pool: str, number: int) -> Any:
        script, chance = self._script, draft.chance
        if pool == "topic":
            return types.MessageActionTopicCreate(title=script.topic_title(number), icon_color=0x6FB9F0)
        if pool == "migrated_to":
            return types.MessageActionChatMigrateTo(channel_id(script.migrated_to or 0))
        if pool == "migrated_from":
            return types.MessageActionChannelMigrateFrom(script.title, -(script.migrated_from or 0))
        if pool == "created":
            if script.kind == "group":
                return types.MessageActionChatCreate(script.title, [script.user(0)])
            if script.kind == "private":
                return types.MessageActionContactSignUp()
            return types.MessageActionChannelCreate(script.title)
        kind = chance.randint(0, 3)
        if kind == 0 or script.kind == "private":
            return types.MessageActionPinMessage()
        if kind == 1:
            return types.MessageActionChatEditTitle(texts.title_of(chance))
        if script.kind == "channel":
            return types.MessageActionChatDeletePhoto()
        draft.users.append(script.user(chance.randrange(script.senders)))
        if kind == 2:
            return types.MessageActionChatAddUser([draft.users[-1]])
        return types.MessageActionChatJoinedByLink(draft.users[-1])

    def _message(self, draft: Draft, pool: str) -> Template:
        script, chance = self._script, draft.chance
        known_users = [script.user(number) for number in range(min(script.senders, 8))]
        sender, constant = self._sender(draft)
        if pool == "copy":
            sender, constant = {"from_id": peer(script.copies_of or 0)}, script.copies_of
            draft.origin = script.copies_of
        media = self._media(draft, pool)
        draft.text = texts.text(chance, 6 if draft.kind in ("text", "web_page") else 2)
        if draft.kind in _WITHOUT_TEXT:
            draft.text = ""
        shown = texts.entities(chance, draft.text, known_users) if draft.text and chance.random() < 0.3 else []
        draft.users += [one.user_id for one in shown if isinstance(one, types.MessageEntityMentionName)]
        reply, reply_value, topic_value = self._reply(draft, pool)
        more: dict[str, Any] = {}
        if script.kind == "channel" or pool == "copy":
            more |= {"views": _MARKS[VIEWS], "forwards": _MARKS[FORWARDS]}
            if chance.random() < 0.3:
                more["post_author"] = texts.name_of(chance.randrange(99))
        if pool == "album":
            more["grouped_id"] = _MARKS[ALBUM]
        if script.comments_in is not None:
            more["replies"] = types.MessageReplies(
                _MARKS[COMMENTS], _MARKS[COMMENTS], comments=True, channel_id=channel_id(script.comments_in))  # fmt: skip
        if chance.random() < 0.2:
            more["reactions"] = _reactions(chance)
        if chance.random() < 0.05:
            more["silent"] = True
        forward = self._copied() if pool == "copy" else self._forward(draft) if chance.random() < 0.1 else None

        def made(edit_date: int | None) -> Template:
            message = types.Message(
                _MARKS[ID], peer(script.chat_id), _MARKS[DATE], draft.text, fwd_from=forward, reply_to=reply,
                media=media, entities=shown or None, edit_date=edit_date, **(sender | more)
            )  # fmt: skip
            return compile_template(
                message, kind=draft.kind, text=draft.text, sender=constant, reply=reply_value, topic=topic_value,
                forwarded_from=draft.origin, users=tuple(draft.users), chats=tuple(draft.chats),
            )  # fmt: skip

        template = made(None)
        if draft.text and forward is None:
            template.edited = made(_MARKS[EDITED])
        return template

    def _reply(self, draft: Draft, pool: str) -> tuple[Any, int | None, int | None]:
        """Returns the header, and which values are the answered message and the topic in the Bot API's form."""
        is_reply = draft.chance.random() < 0.25
        if pool in ("plain", "album"):
            if not is_reply or pool == "album":
                return None, None, None
            quote = {"quote": True, "quote_text": "quoted", "quote_offset": 0} if draft.chance.random() < 0.1 else {}
            return types.MessageReplyHeader(reply_to_msg_id=_MARKS[REPLY], **quote), REPLY, None
        if pool == "copy":
            return None, None, None
        is_topic = pool == "topics"
        header: dict[str, Any] = {"forum_topic": True} if is_topic else {}
        if is_reply:
            made = types.MessageReplyHeader(reply_to_msg_id=_MARKS[REPLY], reply_to_top_id=_MARKS[TOPIC], **header)
            return made, REPLY, TOPIC
        # A message that only is in a topic formally answers the one that opened it.
        made = types.MessageReplyHeader(reply_to_msg_id=_MARKS[TOPIC], **header)
        return made, (None if is_topic else TOPIC), (TOPIC if is_topic else None)

    def _copied(self) -> Any:
        origin = peer(self._script.copies_of or 0)
        return types.MessageFwdHeader(
            _MARKS[FWD_DATE], from_id=origin, channel_post=_MARKS[FWD_POST], saved_from_peer=origin,
            saved_from_msg_id=_MARKS[FWD_POST],
        )  # fmt: skip

    def _forward(self, draft: Draft) -> Any:
        kind = draft.chance.randint(0, 2)
        if kind == 0:
            draft.origin = source = self._script.source_id
            draft.chats.append(source)
            return types.MessageFwdHeader(_MARKS[FWD_DATE], from_id=peer(source), channel_post=_MARKS[FWD_POST])
        if kind == 1:
            return types.MessageFwdHeader(_MARKS[FWD_DATE], from_name=texts.name_of(draft.chance.randrange(99)))
        draft.users.append(self._script.user(draft.chance.randrange(self._script.senders)))
        draft.origin = draft.users[-1]
        return types.MessageFwdHeader(_MARKS[FWD_DATE], from_id=types.PeerUser(draft.origin))

    def _media(self, draft: Draft, pool: str) -> Any:
        chance = draft.chance
        if pool == "album":
            draft.kind = chance.choice(["photo", "video"])
        else:
            draft.kind = chance.choices(list(_SHARES), list(_SHARES.values()))[0]
        if draft.kind == "text":
            return None
        if draft.kind in Library.KINDS:
            return self._library.media(self._account, draft.kind, chance, self._script.chat_id)
        return _MAKERS[draft.kind](chance)


_SHARES = {
    "text": 66, "photo": 10, "video": 4, "document": 3, "voice": 2, "audio": 1, "animation": 2, "web_page": 5,
    "poll": 2, "geo": 1, "contact": 1, "dice": 1, "venue": 1,
}  # fmt: skip
_WITHOUT_TEXT = frozenset({"poll", "geo", "contact", "dice", "venue"})


def _reactions(chance: random.Random) -> Any:
    results = [types.ReactionCount(types.ReactionEmoji("👍"), _MARKS[REACTIONS])]
    if chance.random() < 0.5:
        results.append(types.ReactionCount(types.ReactionCustomEmoji(chance.getrandbits(60)), chance.randint(1, 9)))
    return types.MessageReactions(results)


def _web_page(chance: random.Random) -> Any:
    url = f"https://example.org/{chance.randint(1, 9999)}"
    return types.MessageMediaWebPage(types.WebPage(
        chance.getrandbits(60), url, url.removeprefix("https://"), 0, type="article", site_name="Example",
        title=texts.sentence(chance), description=texts.sentence(chance),
    ))  # fmt: skip


def _poll(chance: random.Random) -> Any:
    def words(text: str) -> Any:
        return types.TextWithEntities(text, [])

    answers = [types.PollAnswer(words(texts.name_of(number)), bytes([48 + number])) for number in range(3)]
    poll = types.Poll(
        chance.getrandbits(60), words(f"{texts.sentence(chance)} {texts.NUMBER}"), answers,
        multiple_choice=chance.random() < 0.3 or None, **where_known(types.Poll, hash=0),
    )  # fmt: skip
    voters = [chance.randint(0, 500) for _ in answers]
    more = where_known(types.PollAnswerVoters, recent_voters=[])
    results = [
        types.PollAnswerVoters(one.option, voters=count, **more) for one, count in zip(answers, voters, strict=True)
    ]
    return types.MessageMediaPoll(poll, types.PollResults(results=results, total_voters=sum(voters)))


def _point(chance: random.Random) -> Any:
    return types.GeoPoint(chance.uniform(-180, 180), chance.uniform(-85, 85), chance.getrandbits(60))


def _venue(chance: random.Random) -> Any:
    return types.MessageMediaVenue(_point(chance), "Harbour", "1 Quay Street", "foursquare", "4b", "")


def _contact(chance: random.Random) -> Any:
    return types.MessageMediaContact("15550100999", texts.name_of(chance.randrange(99)), "", "", 0)


def _dice(chance: random.Random) -> Any:
    return types.MessageMediaDice(chance.randint(1, 6), "🎲")


def _geo(chance: random.Random) -> Any:
    return types.MessageMediaGeo(_point(chance))


_MAKERS = {"web_page": _web_page, "poll": _poll, "geo": _geo, "venue": _venue, "contact": _contact, "dice": _dice}
