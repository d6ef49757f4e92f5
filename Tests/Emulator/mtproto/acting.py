"""Actions of other people and of an account's other devices, besides writing messages."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from botapi import person
from botapi.control import Answer, Route, read_order
from botapi.errors import ControlError
from botapi.model import Chat, Message

from .account import Account
from .backlog import Backlog
from .changes import Change
from .core import Core
from .tl import build, types

_PLACE = {"account": object, "chat_id": int}


class Acting:
    def __init__(self, core: Core) -> None:
        self._core = core

    def routes(self) -> list[Route]:
        return [
            ("POST", "/delete", self.delete), ("POST", "/react", self.react), ("POST", "/read", self.read),
            ("POST", "/history", self.history), ("POST", "/update", self.update), ("POST", "/secret", self.secret),
            ("POST", "/service", self.service), ("POST", "/too_long", self.too_long),
            ("POST", "/leave", self.leave), ("POST", "/hide", self.hide),
        ]  # fmt: skip

    def _place(self, order: dict[str, Any]) -> tuple[Account, Chat]:
        account = self._core.directory.named(order["account"])
        chat = account.chats.get(order["chat_id"])
        if chat is None:
            raise ControlError(f"account {account.id} has no chat {order['chat_id']}")
        return account, chat

    async def delete(self, request: web.Request) -> Answer:
        order = await read_order(request, _PLACE | {"message_ids": list}, "account", "chat_id", "message_ids")
        account, chat = self._place(order)
        gone = [identity for identity in order["message_ids"] if chat.find(identity) is not None]
        for identity in gone:
            chat.delete(chat.messages[identity])
        if gone:
            self._core.directory.publish(account, Change("delete", chat.id, gone))
        return {"deleted": gone}

    async def react(self, request: web.Request) -> Answer:
        known = _PLACE | {"message_id": int, "user_id": int, "emoji": str}
        order = await read_order(request, known, "account", "chat_id", "message_id", "user_id")
        account, chat = self._place(order)
        message = chat.find(order["message_id"])
        if message is None:
            raise ControlError("there is no such message")
        others = [one for one in message.reactions if one.get("by") != order["user_id"]]
        mine = [{"type": "emoji", "emoji": order["emoji"], "by": order["user_id"]}] if "emoji" in order else []
        message.reactions = others + mine
        self._core.directory.publish(account, Change("reactions", chat.id, [message.id]))
        return {"reactions": message.reactions}

    async def read(self, request: web.Request) -> Answer:
        """Mark the account's messages as read by the other side."""
        order = await read_order(request, _PLACE | {"max_id": int}, "account", "chat_id", "max_id")
        account, chat = self._place(order)
        account.read_by_others_to[chat.id] = order["max_id"]
        self._core.directory.publish(account, Change("read_outbox", chat.id, [], max_id=order["max_id"]))
        return {"ok": True}

    async def history(self, request: web.Request) -> Answer:
        """Messages that were there before anybody asked: many, at once, without updates."""
        known = _PLACE | {"count": int, "text": str, "from": dict, "chat_type": str, "title": str,
                          "chat_username": str, "seconds_apart": int}  # fmt: skip
        order = await read_order(request, known, "account", "chat_id", "count")
        account = self._core.directory.named(order["account"])
        user = person.user_for(account, order)
        chat = person.chat_for(account, order, user)
        if chat.ids:
            raise ControlError(f"chat {chat.id} has messages already")
        text, apart, count = order.get("text", "message {n}"), order.get("seconds_apart", 60), order["count"]
        first = account.next_message_id(chat, count)
        begun = int(time.time()) - apart * count
        head = {"sender_chat": chat.body()} if chat.type == "channel" else {"from": user}

        def make(message_id: int) -> Message:
            n = message_id - first
            body = {"message_id": message_id} | head | {"chat": chat.body(), "date": begun + n * apart}
            return Message(body | {"text": text.replace("{n}", str(n))}, by_bot=False)

        chat.messages = Backlog(range(first, first + count), make)
        chat.ids = list(range(first, first + count))
        return {"count": count, "last_message_id": chat.end - 1}

    async def service(self, request: web.Request) -> Answer:
        """A service message, such as that of a changed title; its action is TL as JSON."""
        known = _PLACE | {"action": dict, "from": dict, "chat_type": str, "title": str}
        order = await read_order(request, known, "account", "chat_id", "action")
        try:
            bytes(build(order["action"]))
        except (TypeError, ValueError, AttributeError) as error:
            raise ControlError(f"action: {error}") from error
        account = self._core.directory.named(order["account"])
        return person.post(account, order, {"service": order["action"]}).body

    async def update(self, request: web.Request) -> Answer:
        """Any update without pts, as TL in JSON."""
        order = await read_order(request, {"account": object, "update": dict, "seq": bool}, "account", "update")
        try:
            made = build(order["update"])
        except (TypeError, ValueError) as error:
            raise ControlError(f"update: {error}") from error
        account = self._core.directory.named(order["account"])
        self._core.feed.push_other(account, made, seq=order.get("seq", False))
        return {"seq": account.seq}

    async def secret(self, request: web.Request) -> Answer:
        """A message of a secret chat, which counts up qts."""
        order = await read_order(request, {"account": object}, "account")
        account = self._core.directory.named(order["account"])
        account.qts += 1
        message = types.EncryptedMessage(1, int(self._core.clock.now()), b"secret", types.EncryptedFileEmpty(),
                                         random_id=account.qts)  # fmt: skip
        account.secret_messages.append((account.qts, message))
        self._core.feed.push_other(account, types.UpdateNewEncryptedMessage(message, account.qts))
        return {"qts": account.qts}

    async def too_long(self, request: web.Request) -> Answer:
        """Live updates break off: updatesTooLong."""
        order = await read_order(request, _PLACE, "account")
        account = self._core.directory.named(order["account"])
        self._core.feed.push_too_long(account)
        return {"pts": account.log.pts}

    async def leave(self, request: web.Request) -> Answer:
        account, chat = self._place(await read_order(request, _PLACE, "account", "chat_id"))
        account.leave(chat)
        return {"ok": True}

    async def hide(self, request: web.Request) -> Answer:
        """A channel becomes one that the account may not see, whether it is a member or not."""
        order = await read_order(request, _PLACE | {"hidden": bool}, "account", "chat_id")
        account = self._core.directory.named(order["account"])
        chat = self._core.directory.find_shared(order["chat_id"])
        if chat is None:
            raise ControlError(f"there is no channel or supergroup {order['chat_id']}")
        if order.get("hidden", True):
            account.hidden.add(chat.id)
            account.leave(chat)
        else:
            account.hidden.discard(chat.id)
        return {"hidden": sorted(account.hidden)}
