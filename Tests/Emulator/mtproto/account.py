"""Accounts: their data, their logins, and their view of the chats."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botapi.errors import ControlError
from botapi.model import Chat, Message, View

from .changes import Change, ChangeLog

if TYPE_CHECKING:
    from .directory import Directory

Json = dict[str, Any]
CHANNEL_BASE = -1_000_000_000_000
SHARED = ("supergroup", "channel")


@dataclass(frozen=True)
class Identity:
    """Holds the fields of an account, as in `--account` and in the control API."""

    id: int
    phone: str = ""
    first_name: str = "User"
    last_name: str | None = None
    username: str | None = None
    password: str | None = None
    """The password of the second factor."""
    hint: str = ""
    code: str = "12345"
    """The login code that an SMS would contain."""
    dc: int = 2
    premium: bool = False
    token: str | None = None
    """A bot's token, with which its account logs in instead of a phone number."""


class Account(View):
    def __init__(self, identity: Identity, directory: Directory) -> None:
        super().__init__(identity.id, identity.username, directory.people)
        self.identity = identity
        self.directory = directory
        self.log = ChangeLog()
        """The changes in private chats and basic groups."""
        self.qts = 0
        self.secret_messages: list[tuple[int, Any]] = []
        self.seq = 1
        self.used_random_ids: dict[tuple[int, int], Any] = {}
        self.scheduled: list[Message] = []
        self.seen_users: set[int] = {identity.id}
        """Return the users that the account's clients know, so that a short update may mention them."""
        self.shown_users: dict[int, Any] = {}
        """The people of seeded histories, as this account sees them."""
        self.hidden: set[int] = set()
        """Channels that the account may not see, whatever their user name."""
        self.takeout_at: float | None = None
        """When the account may export its data, after it has asked for that."""
        self.read_to: dict[int, int] = {}
        self.read_by_others_to: dict[int, int] = {}
        self.code_hashes: dict[str, float] = {}
        self.banned: str | None = None
        self.ban_after: tuple[int, str] | None = None
        """How many more calls the account may make before it is banned, and the error."""
        self.users[self.id] = self.user()

    @property
    def is_bot(self) -> bool:
        return self.identity.token is not None

    @property
    def dc(self) -> int:
        return self.identity.dc

    def user(self) -> Json:
        user: Json = {"id": self.id, "is_bot": self.is_bot, "first_name": self.identity.first_name}
        if self.identity.last_name:
            user["last_name"] = self.identity.last_name
        if self.identity.username:
            user["username"] = self.identity.username
        return user

    def count_call(self) -> None:
        if self.ban_after is None:
            return
        left, error = self.ban_after
        self.ban_after = (left - 1, error) if left > 0 else None
        if left <= 0:
            self.banned = error

    def open_chat(self, chat_id: int, kind: str) -> Chat:
        """Enter a chat; supergroups and channels are the same for all accounts."""
        if (kind in SHARED) is not (chat_id < CHANNEL_BASE):
            raise ControlError(f"chat_id {chat_id} cannot be a {kind}: channels and supergroups are below -10^12")
        if kind in SHARED:
            chat = self.directory.shared_chat(chat_id, kind)
        else:
            chat = Chat(chat_id, kind, title="" if kind == "private" else f"Chat {chat_id}")
            known = self.users.get(chat_id)
            if known is not None:
                chat.first_name, chat.username = known["first_name"], known.get("username")
        chat.members.add(self.id)
        self.chats[chat_id] = chat
        return chat

    def leave(self, chat: Chat) -> None:
        self.chats.pop(chat.id, None)
        chat.members.discard(self.id)

    def log_of(self, chat: Chat) -> ChangeLog:
        return self.directory.channel_log(chat.id) if chat.type in SHARED else self.log

    def announce(self, kind: str, chat: Chat, message: Message) -> None:
        self.directory.publish(self, Change("edit" if kind.startswith("edited") else "new", chat.id, [message.id]))

    def reflected(self, kind: str, chat: Chat, messages: list[Message]) -> None:
        self.directory.announce(self, Change(kind, chat.id, [message.id for message in messages]))

    def pending(self) -> Json:
        return {"pending": self.directory.unacknowledged(self), "pts": self.log.pts}

    def sees(self, chat: Chat) -> bool:
        return self.chats.get(chat.id) is chat

    def is_own(self, message: Message) -> bool:
        return bool(message.body.get("from", {}).get("id") == self.id) or message.by_account == self.id


@dataclass
class Clocked:
    """Represents a value that is valid for a limited time."""

    value: Any
    expires_at: float = field(default_factory=lambda: time.time() + 300)
