"""All accounts, the people they know, and the chats they share."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from collections.abc import Callable
from typing import Any

from botapi.errors import ControlError
from botapi.filestore import FileStore
from botapi.model import Bot, Chat, View

from .account import SHARED, Account, Identity
from .changes import Change, ChangeLog
from .media import MediaTable
from .mirror import Mirror

Json = dict[str, Any]
Push = Callable[[Account, Change, Any], None]


class Directory:
    def __init__(self, files: FileStore) -> None:
        self.people: dict[int, Json] = {}
        self.accounts: dict[int, Account] = {}
        self.media = MediaTable(files, self)
        self.push: Push = lambda account, change, origin: None
        """Set by whoever has the connections: tells an account's sessions, except the one it came from."""
        self.unacknowledged: Callable[[Account], int] = lambda account: 0
        """Set in the same way: how many live updates its sessions have not acknowledged."""
        self._shared: dict[int, Chat] = {}
        self._channel_logs: dict[int, ChangeLog] = {}
        self.bots: list[Bot] = []
        """Those of the Bot API."""
        self._mirror = Mirror(files, self._views)
        self._secret = secrets.token_bytes(32)

    def add(self, identity: Identity) -> Account:
        if identity.id in self.accounts:
            raise ControlError(f"there is already an account {identity.id}")
        if identity.token is None and not identity.phone.isdigit():
            raise ControlError("phone must be digits, without a plus sign")
        account = self.accounts[identity.id] = Account(identity, self)
        return account

    def by_phone(self, phone: str) -> Account | None:
        digits = phone.strip().removeprefix("+").replace(" ", "")
        return next((a for a in self.accounts.values() if not a.is_bot and a.identity.phone == digits), None)

    def by_token(self, token: str) -> Account | None:
        return next((a for a in self.accounts.values() if a.identity.token == token), None)

    def named(self, value: Any) -> Account:
        """Find an account by id, phone number or user name, as the control API does."""
        for account in self.accounts.values():
            if str(value) in (str(account.id), account.identity.phone, account.identity.username):
                return account
        raise ControlError(f"there is no account {value!r}")

    def hash_for(self, account: Account, kind: str, identity: int) -> int:
        """An access_hash: it differs by account."""
        return int(struct.unpack("<q", self.proof(account, kind, identity)[:8])[0])

    def proof(self, account: Account, *words: object) -> bytes:
        text = "/".join(str(word) for word in (account.id, *words))
        return hmac.digest(self._secret, text.encode(), hashlib.sha256)

    def shared_chat(self, chat_id: int, kind: str) -> Chat:
        chat = self._shared.get(chat_id)
        if chat is None:
            chat = self._shared[chat_id] = Chat(chat_id, kind, title=f"Chat {chat_id}")
            self._channel_logs[chat_id] = ChangeLog(1)
        return chat

    def adopt(self, chat: Chat, pts: int) -> None:
        """Take in a supergroup or channel that was made elsewhere, in place of an empty one."""
        self._shared[chat.id] = chat
        self._channel_logs[chat.id] = ChangeLog(max(pts, 1))

    def find_shared(self, chat_id: int) -> Chat | None:
        return self._shared.get(chat_id)

    def shared_named(self, name: str) -> Chat | None:
        return next((c for c in self._shared.values() if (c.username or "").lower() == name.lower()), None)

    def channel_log(self, chat_id: int) -> ChangeLog:
        return self._channel_logs[chat_id]

    def publish(self, account: Account, change: Change, origin: Any = None) -> Change:
        """Number a change of a chat that `account` sees, and tell everybody whom it concerns.

        - Parameter origin: the session that caused it, which learns of it by the answer to its call.
        """
        chat = account.chats[change.chat_id]
        account.log_of(chat).add(change)
        if chat.type in SHARED:
            for member in list(self.accounts.values()):
                if member.sees(chat):
                    self.push(member, change, origin)
            return change
        self.push(account, change, origin)
        self.reflect(account, chat, change.kind, change.message_ids)
        return change

    def reflect(self, source: View, chat: Chat, kind: str, message_ids: list[int]) -> None:
        self._mirror.reflect(source, chat, kind, message_ids)

    def _views(self, identity: int) -> list[View]:
        found: list[View] = [self.accounts[identity]] if identity in self.accounts else []
        return found + [bot for bot in self.bots if bot.id == identity]

    def announce(self, account: Account, change: Change) -> None:
        """A change of a private chat, or of a basic group, that came from elsewhere."""
        account.log.add(change)
        self.push(account, change, None)
