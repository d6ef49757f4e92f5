"""A chat with a seeded history: an ordinary chat for everybody who writes in it, and pages of bytes for readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, overload

from botapi.model import Chat, Message

from ..peers import Cast
from ..tl import Raw, read
from .draws import BLOCK
from .ids import AllIds, Ids
from .media import Library
from .message import SeededMessage
from .script import Script, number_of
from .templates import DATE, EDITED, NUMBER, SENDER, TOPIC, Template, Workshop
from .texts import NUMBER as STAND_IN

if TYPE_CHECKING:
    from ..account import Account

BREATH = 500


class SeededMessages(dict[int, Message]):
    """Those that were written or changed are kept, the others made anew each time."""

    def __init__(self, ids: Ids, script: Script, make: Callable[[int], Message]) -> None:
        super().__init__()
        self._ids, self._first, self._last, self._make = ids, script.first, script.last, make

    def __missing__(self, message_id: int) -> Message:
        if message_id not in self:
            raise KeyError(message_id)
        return self._make(message_id)

    def __contains__(self, message_id: object) -> bool:
        # Ids above were perhaps given to another chat of the account.
        return isinstance(message_id, int) and (
            self._first <= message_id <= self._last or message_id in self._ids or super().__contains__(message_id)
        )

    @overload
    def get(self, key: int, default: None = None, /) -> Message | None: ...
    @overload
    def get(self, key: int, default: Any, /) -> Any: ...
    def get(self, key: int, default: Any = None, /) -> Any:
        return self[key] if key in self else default

    def written(self, message_id: int) -> Message | None:
        """Returns a message that is kept; None for one that is as the seed tells."""
        return super().get(message_id)


class SeededChat(Chat):
    def __init__(self, script: Script, library: Library) -> None:
        super().__init__(script.chat_id, script.kind, title=script.title)
        self.script, self._library = script, library
        self.alive = Ids()
        self.listed = self.alive
        """The ids that count, and that pages are cut from. It may have more than those that are shown."""
        self.edited: dict[int, tuple[int, int]] = {}
        """How often a message was edited since the history was made, and when last."""
        self.messages = self._kept = SeededMessages(self.alive, script, self._message)
        self.all_ids = AllIds(self.alive, script.first)
        self.ids = self.all_ids  # type: ignore[assignment]
        self.threads |= {script.first + number for number in range(1, script.topics + 1)}
        self.next_message_id = script.last + 1
        self.topic_sizes: dict[int | None, int] = {}
        """How many messages each topic of a forum has; None stands for General."""
        self.version = 0
        """Counts up with every change."""
        self._workshops: dict[tuple[int, int], Workshop] = {}

    def grow(self) -> Iterator[None]:
        """Makes the ids of the history; yields now and then, so that others get their turn."""
        script = self.script
        for number in range(script.first // BLOCK, script.last // BLOCK + 1):
            self.alive.put(number * BLOCK, script.existing(number))
            if script.topics:
                for message_id in self.alive.above(max(number * BLOCK, script.first)):
                    self._count_topic(message_id, 1)
            if number % BREATH == 0:
                yield

    def _count_topic(self, message_id: int, by: int) -> None:
        topic = self.thread_of(message_id)
        self.topic_sizes[topic] = self.topic_sizes.get(topic, 0) + by

    def haunt(self, ranges: list[tuple[int, int]]) -> None:
        """Lets the ids in these ranges count, although none of them is shown."""
        if not ranges:
            return
        self.listed = Ids()
        for message_id in range(self.script.first, self.script.last + 1):
            is_ghost = any(low <= message_id <= high for low, high in ranges)
            if is_ghost:
                self.alive.discard(message_id)
            if is_ghost or message_id in self.alive:
                self.listed.add(message_id)

    # What code for any chat asks for.

    def find(self, message_id: int) -> Message | None:
        if message_id not in self.alive:
            return None
        self.version += 1  # whoever looks for it by its id may change it
        message = self.messages[message_id]
        self.messages[message_id] = message
        return message

    def add(self, message: Message) -> None:
        self.messages[message.id] = message
        self.exist(message.id)

    def exist(self, message_id: int) -> None:
        self.alive.add(message_id)
        self.listed.add(message_id)
        if self.script.topics:
            self._count_topic(message_id, 1)
        self.version += 1

    def delete(self, message: Message) -> None:
        message.deleted = True
        self.remove(message.id)

    def remove(self, message_id: int) -> bool:
        if not self.alive.discard(message_id):
            return False
        self.listed.discard(message_id)
        if self.script.topics:
            self._count_topic(message_id, -1)
        self.deleted_count += 1
        self.all_ids.gone += 1
        self.version += 1
        return True

    def visible_below(self, message_id: int) -> Iterator[Message]:
        return (self.messages[known] for known in self.alive.below(message_id))

    def visible_from(self, message_id: int) -> Iterator[Message]:
        return (self.messages[known] for known in self.alive.above(message_id))

    def first_since(self, date: int) -> int:
        low, high = self.script.first, self.alive.end
        while low < high:
            middle = (low + high) // 2
            if self.date_of(middle) < date:
                low = middle + 1
            else:
                high = middle
        return low

    @property
    def end(self) -> int:
        return max(self.alive.end, self.script.first)

    @property
    def listed_count(self) -> int:
        return self.listed.count

    @property
    def is_inexact(self) -> bool:
        return self.listed is not self.alive

    def count_from(self, message_id: int) -> int:
        return self.listed.count_from(message_id)

    def ids_below(self, message_id: int, skip: int = 0) -> Iterator[int]:
        return self.listed.below(message_id, skip)

    def ids_from(self, message_id: int) -> Iterator[int]:
        return self.listed.above(message_id)

    def written(self, message_id: int) -> Message | None:
        """Returns a message that was written or changed; None for one that is as the seed tells."""
        return self._kept.written(message_id)

    def date_of(self, message_id: int) -> int:
        written = self._kept.written(message_id)
        return int(written.body["date"]) if written is not None else self.script.date(message_id)

    def thread_of(self, message_id: int) -> int | None:
        """Returns the topic, or the copied post, that a message belongs to."""
        written = self._kept.written(message_id)
        if written is not None and not isinstance(written, SeededMessage):
            thread = written.body.get("message_thread_id")
            return int(thread) if thread else None
        return self.script.thread_of(message_id)

    def comments(self, top: int) -> Iterator[int]:
        """Yields the comments on a copied post, the newest first: those written since, and those of the seed near it."""
        script = self.script
        near = min(top + 3 * (script.comments_each + 1), script.last + 1)
        for message_id in self.alive.below(self.alive.end):
            if message_id <= script.last:
                break
            if self.thread_of(message_id) == top:
                yield message_id
        for message_id in self.alive.below(near):
            if message_id <= top:
                return
            if script.thread_of(message_id) == top:
                yield message_id

    # Messages as bytes.

    def workshop(self, account: Account) -> Workshop:
        # File references are in the templates, and may be made to expire.
        key = (account.id, account.directory.media.generation)
        known = self._workshops.get(key)
        if known is None:
            known = self._workshops[key] = Workshop(self.script, account, self._library)
        return known

    def composed(self, workshop: Workshop, message_id: int) -> tuple[Template, list[int], int]:
        """Returns the template of a message, the values to fill in, and how often it was edited since."""
        pool, number, values, is_edited = self.script.fate(message_id)
        template = workshop.pools[pool][number] or workshop.make(pool, number)
        version = 0
        if template.edited is not None:
            change = self.edited.get(message_id)
            if change is not None:
                version, values[EDITED] = change
                values[NUMBER] = number_of(message_id, version)
            if is_edited or change is not None:
                template = template.edited
        return template, values, version

    def render(self, account: Account, message_ids: list[int], cast: Cast) -> list[Any]:
        """Returns those of the messages that exist, and adds whom they mention to the cast."""
        workshop, composed, kept = self.workshop(account), self.composed, self._kept
        users: set[int] = set()
        chats: set[int] = set()
        shown: list[Any] = []
        for message_id in message_ids:
            if message_id not in self.alive:
                continue
            written = kept.written(message_id) if kept else None
            if written is not None and (not isinstance(written, SeededMessage) or written.is_changed):
                shown.append(self._changed(account, written, cast))
                continue
            template, values, _ = composed(workshop, message_id)
            shown.append(Raw(template.fill(values)))
            users.update(template.users)
            chats.update(template.chats)
            if template.has_sender:
                users.add(values[SENDER])
        if self.script.copies_of is not None:
            chats.add(self.script.copies_of)
        for user in users:
            cast.add_user(user)
        for chat_id in chats:
            cast.add_shared(chat_id)
        return shown

    def facts(self, account: Account, message_id: int) -> tuple[str, Any, int | None, int, int | None]:
        """Returns what a search looks at: text, kind, sender, date and thread."""
        written = self._kept.written(message_id)
        if written is not None and not isinstance(written, SeededMessage):
            body = written.body
            text = str(body.get("text", body.get("caption", "")))
            return text, body, body.get("from", {}).get("id"), body["date"], body.get("message_thread_id")
        template, values, version = self.composed(self.workshop(account), message_id)
        sender = template.sender if template.sender is not None else values[SENDER]
        text = shown_text(template, message_id, version)
        if written is not None:
            text = str(written.body.get("text", ""))
        return text, (template.kind,), sender, values[DATE], values[TOPIC] or None

    def _changed(self, account: Account, message: Message, cast: Cast) -> Any:
        from .. import render  # which knows this module

        if not isinstance(message, SeededMessage):
            return render.message(account, self, message, cast)
        template, values, _ = self.composed(self.workshop(account), message.id)
        shown = read(template.fill(values))
        return render.altered(shown, message, cast)

    def _message(self, message_id: int) -> Message:
        """Makes the object of a message for code that works with any. Its body tells less than the bytes do."""
        account = next(iter(self.viewers()), None)
        body: dict[str, Any] = {"message_id": message_id, "date": self.script.date(message_id), "chat": self.body()}
        if account is not None and message_id in self.alive:
            body = self._body(account, message_id)
        return SeededMessage(body, message_id not in self.alive)

    viewers: Callable[[], Iterator[Account]] = staticmethod(lambda: iter(()))
    """Set by whoever knows the accounts: those that have this chat."""

    def _body(self, account: Account, message_id: int) -> dict[str, Any]:
        template, values, version = self.composed(self.workshop(account), message_id)
        sender = template.sender if template.sender is not None else values[SENDER]
        body: dict[str, Any] = {"message_id": message_id, "chat": self.body(), "date": self.script.date(message_id)}
        if sender > 0 and self.type != "channel":
            body["from"] = account.users.get(sender, {"id": sender, "is_bot": False, "first_name": "User"})
        else:
            body["sender_chat"] = self.body()
        if template.text:
            body["text"] = shown_text(template, message_id, version)
        if template.reply is not None:
            body["reply_to_message"] = {"message_id": values[template.reply]}
        return body

    def is_editable(self, workshop: Workshop, message_id: int) -> bool:
        pool, number, _, _ = self.script.fate(message_id)
        return (workshop.pools[pool][number] or workshop.make(pool, number)).edited is not None

    def edit(self, message_id: int, date: int) -> None:
        version = self.edited.get(message_id, (0, 0))[0] + 1
        self.edited[message_id] = (version, date)
        self.version += 1


def shown_text(template: Template, message_id: int, version: int) -> str:
    return template.text.replace(STAND_IN, number_of(message_id, version).decode())

