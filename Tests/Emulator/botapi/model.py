"""Bots, chats and messages as the emulator keeps them: one bot's view each, all in memory."""

from __future__ import annotations

import bisect
import copy
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from .entities import Entity
from .updates import UpdateQueue

Json = dict[str, Any]
TOKEN = re.compile(r"(\d{1,16}):[A-Za-z0-9_-]+\Z")
# Absent bots are told apart by how they left.
GONE = {"kicked", "left"}


@dataclass
class Message:
    body: Json
    by_bot: bool
    deleted: bool = False
    has_other_markup: bool = False
    """A custom keyboard, its removal, or a forced reply came with it; such a message cannot be edited."""
    edits: list[Json] = field(default_factory=list)
    reactions: list[Json] = field(default_factory=list)
    reaction_history: list[Json] = field(default_factory=list)
    sent_at: float = field(default_factory=time.time)
    by_account: int | None = None
    """The account that posted it, where the body does not tell."""
    twins: dict[View, Message] = field(default_factory=dict, repr=False)
    """The same message in the views of a private chat's other side, where the emulator plays that, too."""

    @property
    def id(self) -> int:
        return int(self.body["message_id"])

    def visible(self) -> Json:
        """Return the message as it appears inside a reply: without the message that it replies to."""
        return {key: value for key, value in self.body.items() if key not in ("reply_to_message", "quote")}

    def record(self) -> Json:
        return {
            "message": self.body,
            "deleted": self.deleted,
            "edits": self.edits,
            "reactions": self.reactions,
            "reaction_history": self.reaction_history,
            "sent_at": self.sent_at,
        }


@dataclass
class Chat:
    id: int
    type: str
    title: str = ""
    username: str | None = None
    first_name: str = ""
    messages: dict[int, Message] = field(default_factory=dict)
    members: set[int] = field(default_factory=set)
    threads: set[int] = field(default_factory=set)
    bot_status: str = "member"
    next_message_id: int = 1
    migrated_to: int | None = None
    """The supergroup that this basic group has become; nothing more happens in the basic group after that."""
    ids: list[int] = field(default_factory=list)
    """The ids of all messages, including deleted ones, in ascending order."""
    deleted_count: int = 0
    pinned: list[int] = field(default_factory=list)
    """The ids of the pinned messages, in the order in which they were pinned."""
    is_linked: bool = False
    """Whether it is a channel with comments, or the group that they are in."""

    def body(self) -> Json:
        body: Json = {"id": self.id}
        if self.type == "private":
            body["first_name"] = self.first_name
        else:
            body["title"] = self.title
        if self.username:
            body["username"] = self.username
        body["type"] = self.type
        if self.threads and self.type == "supergroup":
            body["is_forum"] = True
        return body

    def find(self, message_id: int) -> Message | None:
        message = self.messages.get(message_id)
        if message is None or message.deleted:
            return None
        # Whoever looks for it by its id may change it.
        self.messages[message_id] = message
        return message

    def add(self, message: Message) -> None:
        self.messages[message.id] = message
        self.ids.append(message.id)

    def delete(self, message: Message) -> None:
        self.deleted_count += not message.deleted
        message.deleted = True

    def visible_below(self, message_id: int) -> Iterator[Message]:
        """Messages that are not deleted, newest first."""
        for place in range(bisect.bisect_left(self.ids, message_id) - 1, -1, -1):
            message = self.messages[self.ids[place]]
            if not message.deleted:
                yield message

    def visible_from(self, message_id: int) -> Iterator[Message]:
        """Messages that are not deleted, oldest first."""
        for place in range(bisect.bisect_left(self.ids, message_id), len(self.ids)):
            message = self.messages[self.ids[place]]
            if not message.deleted:
                yield message

    def ids_below(self, message_id: int, skip: int = 0) -> Iterator[int]:
        """The ids of the messages that are not deleted, newest first, after the first `skip` of them."""
        return (message.id for message in islice(self.visible_below(message_id), skip, None))

    def count_from(self, message_id: int) -> int:
        """How many messages at or above this id are not deleted."""
        place = bisect.bisect_left(self.ids, message_id)
        gone = self.deleted_count and sum(item.deleted for key, item in self.messages.items() if key >= message_id)
        return len(self.ids) - place - gone

    def ids_from(self, message_id: int) -> Iterator[int]:
        """The ids of the messages that are not deleted, oldest first, from this id on."""
        return (message.id for message in self.visible_from(message_id))

    @property
    def listed_count(self) -> int:
        """How many messages a reader is told of."""
        return len(self.ids) - self.deleted_count

    @property
    def is_inexact(self) -> bool:
        """Whether fewer messages are shown than told."""
        return False

    def first_since(self, date: int) -> int:
        """The id of the first message of this time or later; one above all if there is none."""
        place = bisect.bisect_left(self.ids, date, key=lambda known: int(self.messages[known].body["date"]))
        return self.ids[place] if place < len(self.ids) else self.end

    @property
    def end(self) -> int:
        """An id greater than all others."""
        return self.ids[-1] + 1 if self.ids else 1

    @property
    def newest(self) -> Message | None:
        return next(self.visible_below(self.end), None)


class View:
    """Holds the view of one bot or account: its chats and the people it knows."""

    def __init__(self, identity: int, username: str | None, users: dict[int, Json]) -> None:
        self.id = identity
        self.username = username
        self.users = users
        self.chats: dict[int, Chat] = {}
        self.blocked_by: set[int] = set()
        self._next_message_id = 1

    def user(self) -> Json:
        raise NotImplementedError

    def open_chat(self, chat_id: int, kind: str) -> Chat:
        """Add a chat to this view."""
        chat = self.chats[chat_id] = Chat(chat_id, kind, title=f"Chat {chat_id}")
        return chat

    def announce(self, kind: str, chat: Chat, message: Message) -> None:
        """Tell whoever owns the view. `kind` is the Bot API's name of the update."""
        raise NotImplementedError

    def reflected(self, kind: str, chat: Chat, messages: list[Message]) -> None:
        """The other side of a private chat has done something (new, edit, delete, reactions) that is seen here."""
        raise NotImplementedError

    def pending(self) -> Json:
        """Return the counts of updates that no client has taken yet."""
        raise NotImplementedError

    def chat_named(self, name: str) -> Chat | None:
        wanted = name.removeprefix("@").lower()
        return next(
            (c for c in self.chats.values() if c.type != "private" and (c.username or "").lower() == wanted), None
        )

    def next_message_id(self, chat: Chat, count: int = 1) -> int:
        """Supergroups and channels count for themselves; private chats and basic groups share one count.

        - Returns: the first of `count` ids.
        """
        if chat.type in ("supergroup", "channel"):
            chat.next_message_id += count
            return chat.next_message_id - count
        self._next_message_id += count
        return self._next_message_id - count

    def new_message(self, chat: Chat, *, by_bot: bool, date: int | None = None) -> Message:
        """An empty message of this chat, stored; the caller adds the content."""
        body: Json = {"message_id": self.next_message_id(chat)}
        if chat.type == "channel":
            body["sender_chat"] = chat.body()
        elif by_bot:
            body["from"] = self.user()
        body |= {"chat": chat.body(), "date": date or int(time.time())}
        message = Message(body, by_bot)
        chat.add(message)
        return message

    def resolve_mentions(self, entities: list[Entity]) -> list[Entity]:
        """Fill in the users that are mentioned by id; drop mentions of unknown users."""
        resolved: list[Entity] = []
        for entity in entities:
            if entity["type"] == "text_mention":
                user = self.users.get(int(entity["user"].get("id", 0)))
                if user is None:
                    continue
                entity = entity | {"user": user}
            resolved.append(entity)
        return resolved


class Bot(View):
    def __init__(self, token: str, serial: int) -> None:
        match = TOKEN.match(token)
        if match is None:
            raise ValueError(f"malformed token {token!r}: expected digits, a colon, and letters or digits")
        super().__init__(int(match[1]), "test_bot" if serial == 1 else f"test{serial}_bot", {})
        self.token = token
        self.first_name = "Test Bot" if serial == 1 else f"Test Bot {serial}"
        self.updates = UpdateQueue()
        self.commands: dict[tuple[str, str], list[Json]] = {}
        self.callback_queries: dict[str, float] = {}
        self.webhook: Json = {}
        self.logged_out = False
        self.reads_groups = True
        """Whether BotFather's privacy mode is off, so that the bot sees all messages of groups."""

    def user(self) -> Json:
        return {"id": self.id, "is_bot": True, "first_name": self.first_name, "username": self.username}

    def announce(self, kind: str, chat: Chat, message: Message) -> None:
        self.updates.push({kind: copy.deepcopy(message.body)})

    def reflected(self, kind: str, chat: Chat, messages: list[Message]) -> None:
        for message in messages:
            if kind in ("new", "edit"):  # bots do not hear of the rest
                self.announce("message" if kind == "new" else "edited_message", chat, message)

    def pending(self) -> Json:
        return {"pending": len(self.updates), "confirmed_to": self.updates.confirmed_to}

    def profile(self) -> Json:
        return self.user() | {
            "can_join_groups": True,
            "can_read_all_group_messages": self.reads_groups,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": False,
        }
