"""All accounts, the people they know, and the chats they share."""

from __future__ import annotations

import copy
import hashlib
import hmac
import secrets
import struct
from collections.abc import Callable
from typing import Any

from botapi.errors import ControlError
from botapi.filestore import FileStore
from botapi.model import Chat, Message

from .account import SHARED, Account, Identity
from .changes import Change, ChangeLog
from .media import MediaTable

Json = dict[str, Any]
Push = Callable[[Account, Change, Any], None]
_COPIED = ("text", "entities", "caption", "caption_entities", "edit_date")


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
        """By id, phone number or username, as the control API has it."""
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
        if chat.type == "private" and change.kind in ("new", "edit", "delete", "reactions"):
            self._mirror(account, chat, change)
        return change

    def _mirror(self, account: Account, chat: Chat, change: Change) -> None:
        """The same in the other account's view of a private chat."""
        partner = self.accounts.get(chat.id)
        if partner is None or partner is account:
            return
        there = partner.chats.get(account.id) or partner.open_chat(account.id, "private")
        ids = []
        for message_id in change.message_ids:
            message = chat.messages[message_id]
            if message.twin is None:
                if change.kind != "new":
                    continue
                message.twin = self._copy(partner, there, chat, message)
                message.twin.twin = message
            twin = message.twin
            if change.kind == "edit":
                for key in _COPIED:
                    twin.body.pop(key, None)
                twin.body |= {key: copy.deepcopy(message.body[key]) for key in _COPIED if key in message.body}
            if message.deleted:
                there.delete(twin)
            twin.reactions = message.reactions
            ids.append(twin.id)
        if ids:
            there_change = Change(change.kind, there.id, ids)
            partner.log.add(there_change)
            self.push(partner, there_change, None)

    def _copy(self, partner: Account, there: Chat, chat: Chat, message: Message) -> Message:
        twin = partner.new_message(there, by_bot=False, date=message.body["date"])
        kept = {key: copy.deepcopy(value) for key, value in message.body.items()
                if key not in ("message_id", "chat", "reply_to_message")}  # fmt: skip
        twin.body |= kept
        twin.by_account = message.by_account
        target = message.body.get("reply_to_message")
        original = chat.messages.get(target["message_id"]) if target else None
        if original is not None and original.twin is not None:
            twin.body["reply_to_message"] = copy.deepcopy(original.twin.visible())
        return twin
