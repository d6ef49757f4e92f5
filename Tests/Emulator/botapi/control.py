"""The control API: tests act as people here, look behind the scenes, and ask for misbehaviour."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from . import person
from .content import MEDIA_KINDS
from .errors import ControlError
from .faults import Fault
from .model import GONE, Bot, View
from .world import World

BURST_BREATH = 20
# Closes the server for a number of seconds, in the background.
OUTAGE: web.AppKey[Callable[[float], None]] = web.AppKey("outage")
Json = dict[str, Any]
Answer = Json | web.StreamResponse
_MESSAGE = {
    "chat_id": int, "from": dict, "text": str, "reply_to": int, "chat_type": str, "title": str, "chat_username": str,
    "thread_id": int, "date": int, "bot": object, "account": object, "entities": list, "album": str, "protected": bool,
}  # fmt: skip
_PLACE = {name: kind for name, kind in _MESSAGE.items() if name != "text"}
_FILE = _PLACE | {
    "path": str, "kind": str, "file_name": str, "mime_type": str, "duration": int, "width": int, "height": int,
    "title": str, "performer": str, "caption": str, "dc": int,
}  # fmt: skip
_EDIT = {
    "chat_id": int, "message_id": int, "text": str, "entities": list, "bot": object, "account": object,
}  # fmt: skip
_PRESS = {"chat_id": int, "message_id": int, "text": str, "from": dict, "bot": object}
_FAULT = {
    "method": str, "kind": object, "retry_after": int, "description": str, "times": int, "delay": (int, float),
    "after": bool, "head": bool, "chat_id": int, "seconds": (int, float),
}  # fmt: skip
_CHAT = {name: _MESSAGE[name] for name in ("chat_id", "chat_type", "title", "chat_username", "thread_id", "bot", "account")}


class Control:
    def __init__(self, world: World) -> None:
        self._world = world

    def _bot(self, named: Any) -> Bot:
        """A bot by token or id; the first one if none is named."""
        if named is None:
            return self._world.bots[0]
        for bot in self._world.bots:
            if str(named) in (bot.token, str(bot.id)):
                return bot
        raise ControlError(f"there is no bot {named!r}")

    def _view(self, named: Any) -> View:
        """Whose chats an order is about: an account's, if it names one, or a bot's."""
        if named.get("account") is None:
            return self._bot(named.get("bot"))
        if self._world.accounts is None:
            raise ControlError("there are no accounts: start the emulator with --account")
        return self._world.accounts.named(named["account"])

    async def message(self, request: web.Request) -> Answer:
        order = await read_order(request, _MESSAGE, "chat_id", "text")
        return person.post(self._view(order), order, person.text_content(order)).body

    async def burst(self, request: web.Request) -> Answer:
        order = await read_order(request, _MESSAGE | {"count": int}, "chat_id", "text", "count")
        view = self._view(order)
        first = view.updates.next_id if isinstance(view, Bot) else None
        for n in range(order["count"]):
            numbered = order | {"text": order["text"].replace("{n}", str(n))}
            message = person.post(view, numbered, person.text_content(numbered))
            if not isinstance(view, Bot) and n % BURST_BREATH == 0:
                await asyncio.sleep(0)  # an account's updates leave meanwhile; a bot's come with the next poll
        if not isinstance(view, Bot):
            return {"count": order["count"], "last_message_id": message.id if order["count"] else None}
        return {"count": order["count"], "first_update_id": first, "last_update_id": view.updates.next_id - 1}

    async def file(self, request: web.Request) -> Answer:
        order = await read_order(request, _FILE, "chat_id", "path", "kind")
        if order["kind"] not in MEDIA_KINDS:
            raise ControlError(f"kind must be one of {', '.join(MEDIA_KINDS)}")
        view = self._view(order)
        content = await asyncio.to_thread(person.file_content, self._world, view, order)
        return person.post(view, order, content).body

    async def edit(self, request: web.Request) -> Answer:
        order = await read_order(request, _EDIT, "chat_id", "message_id", "text")
        return person.edit(self._view(order), order).body

    async def press(self, request: web.Request) -> Answer:
        order = await read_order(request, _PRESS, "chat_id", "message_id", "text")
        return person.press(self._bot(order.get("bot")), order)

    async def update(self, request: web.Request) -> Answer:
        body = await read_json(request)
        if len(body) != 1 or not isinstance(next(iter(body.values())), dict):
            raise ControlError("an update is one key (its type) with one object, without update_id")
        bot = self._bot(request.query.get("bot"))
        query = body.get("callback_query")
        if query is not None:
            bot.callback_queries[str(query.get("id"))] = time.time()
        # Null when the bot did not ask for this type, and so will not get it.
        return {"update_id": bot.updates.push(body)}

    async def set_chat(self, request: web.Request) -> Answer:
        order = await read_order(request, _CHAT | {"bot_status": str}, "chat_id")
        if order.get("bot_status", "member") not in {"member", "administrator"} | GONE:
            raise ControlError("bot_status must be member, administrator, left or kicked")
        chat = person.chat_for(self._view(order), order, None)
        chat.bot_status = order.get("bot_status", chat.bot_status)
        return chat.body() | {"bot_status": chat.bot_status}

    async def chat(self, request: web.Request) -> Answer:
        chat = self._view(request.query).chats.get(int(request.match_info["chat_id"]))
        return {"messages": [] if chat is None else [message.record() for message in chat.messages.values()]}

    async def log(self, request: web.Request) -> Answer:
        return self._world.journal.record(request.query.get("method"))

    async def clear_log(self, request: web.Request) -> Answer:
        self._world.journal.clear()
        return {"ok": True}

    async def fault(self, request: web.Request) -> Answer:
        order = await read_order(request, _FAULT, "method", "kind")
        self._world.faults.add(Fault(**(order | {"kind": str(order["kind"])})))
        return {"ok": True}

    async def outage(self, request: web.Request) -> Answer:
        order = await read_order(request, {"seconds": (int, float)}, "seconds")
        request.app[OUTAGE](float(order["seconds"]))
        return {"ok": True}

    async def clear_faults(self, request: web.Request) -> Answer:
        self._world.faults.clear()
        return {"ok": True}

    async def expire(self, request: web.Request) -> Answer:
        order = await read_order(request, {"file_ids": list, "all": bool})
        if not order.get("all") and "file_ids" not in order:
            raise ControlError('give "file_ids" or "all": true')
        return {"expired": self._world.files.expire(None if order.get("all") else order["file_ids"])}

    async def block(self, request: web.Request) -> Answer:
        order = await read_order(request, {"user_id": int, "blocked": bool, "bot": object}, "user_id", "blocked")
        person.block(self._bot(order.get("bot")), order["user_id"], order["blocked"])
        return {"ok": True}

    async def migrate(self, request: web.Request) -> Answer:
        order = await read_order(request, {"chat_id": int, "from": dict, "bot": object}, "chat_id", "from")
        return person.migrate(self._bot(order.get("bot")), order).body()

    async def privacy(self, request: web.Request) -> Answer:
        order = await read_order(request, {"enabled": bool, "bot": object}, "enabled")
        self._bot(order.get("bot")).reads_groups = not order["enabled"]
        return {"ok": True}

    async def rates(self, request: web.Request) -> Answer:
        order = await read_order(request, {"enforce": bool}, "enforce")
        self._world.rates.enforced = order["enforce"]
        return {"ok": True}

    async def pending(self, request: web.Request) -> Answer:
        return self._view(request.query).pending()

    async def file_bytes(self, request: web.Request) -> Answer:
        blob = self._world.files.blob_by_unique_id(request.match_info["file_unique_id"])
        if blob is None:
            raise ControlError("there is no such file")
        return web.FileResponse(blob.path, headers={"Content-Type": "application/octet-stream"})


Route = tuple[str, str, Callable[[web.Request], Awaitable[Answer]]]


def add_routes(app: web.Application, world: World, more: list[Route]) -> None:
    control = Control(world)
    routes: list[Route] = [
        ("POST", "message", control.message), ("POST", "burst", control.burst), ("POST", "file", control.file),
        ("POST", "edit", control.edit), ("POST", "press", control.press),
        ("POST", "update", control.update), ("POST", "chat", control.set_chat),
        ("GET", r"chat/{chat_id:-?\d+}", control.chat), ("GET", "log", control.log),
        ("DELETE", "log", control.clear_log), ("POST", "fault", control.fault), ("POST", "outage", control.outage),
        ("DELETE", "fault", control.clear_faults), ("POST", "expire", control.expire),
        ("POST", "block", control.block), ("POST", "migrate", control.migrate), ("POST", "rates", control.rates),
        ("POST", "privacy", control.privacy), ("GET", "pending", control.pending),
        ("GET", "file/{file_unique_id}", control.file_bytes),
    ]  # fmt: skip
    for method, path, handler in routes + more:
        app.router.add_route(method, f"/control/{path}", _wrapped(handler))
    app.router.add_route("*", "/control/{rest:.*}", _unknown)


async def _unknown(request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": f"there is no {request.method} {request.path}"}, status=404)


def _wrapped(handler: Callable[[web.Request], Awaitable[Answer]]) -> Callable[..., Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            answer = await handler(request)
        except ControlError as error:
            return web.json_response({"error": str(error)}, status=400)
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer)

    return handle


async def read_json(request: web.Request) -> Json:
    try:
        body = json.loads(await request.text() or "{}")
    except ValueError as error:
        raise ControlError(f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise ControlError("the body must be a JSON object")
    return body


async def read_order(request: web.Request, known: dict[str, Any], *required: str) -> Json:
    """The body, with nothing unknown, nothing missing, and nothing of a wrong type. Null is the same as absent."""
    body = {name: value for name, value in (await read_json(request)).items() if value is not None}
    for name, value in body.items():
        if name not in known:
            raise ControlError(f"unknown field {name!r}; known are {', '.join(known)}")
        if not isinstance(value, known[name]) or (known[name] is int and isinstance(value, bool)):
            raise ControlError(f"{name} has the wrong type")
    for name in required:
        if name not in body:
            raise ControlError(f"{name} is missing")
    return body
