"""The Bot API over HTTP: finds the bot and the method, reads the parameters, answers or misbehaves."""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from . import control
from .errors import ApiError, not_found, too_large, unauthorized
from .faults import Fault
from .inputfile import check_uploads
from .journal import Call as LoggedCall
from .methods import HANDLERS
from .model import TOKEN, Bot
from .request import ParameterReader, Parameters
from .schema import CANONICAL_NAMES, bind, file_parameters
from .world import Call, World

GARBAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
DISCONNECT_POLL_SECONDS = 0.1


class BotApiServer:
    def __init__(self, world: World) -> None:
        self._world = world
        self._reader = ParameterReader(world.files.incoming_directory, world.options.max_upload_bytes)

    def application(self, control_routes: list[control.Route] | None = None) -> web.Application:
        app = web.Application()
        control.add_routes(app, self._world, control_routes or [])
        app.router.add_route("*", "/file/bot{token}/{file_path:.+}", self._download)
        app.router.add_route("*", "/bot{token}/{method}", self._call, expect_handler=self._expect)
        app.router.add_route("*", "/{rest:.*}", self._nothing_here)
        return app

    async def _nothing_here(self, request: web.Request) -> web.StreamResponse:
        return _answer(404, not_found().body())

    async def _expect(self, request: web.Request) -> web.StreamResponse | None:
        # A client that asks first is told before it sends a body that is too large.
        if self._reader.is_too_large(request):
            response = _answer(413, too_large().body())
            response.force_close()
            return response
        if request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return None

    async def _call(self, request: web.Request) -> web.StreamResponse:
        requested = request.match_info["method"]
        method = CANONICAL_NAMES.get(requested.lower(), requested)
        bot = self._world.bot_by_token(unquote(request.match_info["token"]))
        logged = self._world.journal.begin(method, bot.id if bot else None)
        parameters = Parameters()
        try:
            return await self._serve(request, bot, method, parameters, logged)
        except ApiError as error:
            return _fail(logged, error)
        except (ConnectionError, asyncio.CancelledError):
            logged.end(None, "the client went away")
            raise
        except Exception:  # whatever goes wrong, the client gets an answer and the log the reason
            traceback.print_exc(file=sys.stderr)
            return _fail(logged, ApiError(500, "Internal Server Error: the emulator has a defect, see its log"))
        finally:
            parameters.discard()

    async def _serve(
        self, request: web.Request, bot: Bot | None, method: str, parameters: Parameters, logged: LoggedCall
    ) -> web.StreamResponse:
        if bot is None:
            raise unauthorized() if TOKEN.match(request.match_info["token"]) else not_found()
        if request.method not in ("GET", "POST") or method not in HANDLERS:
            raise not_found()
        head_fault = self._world.faults.take(method, head=True)
        if head_fault is not None:
            return await self._misbehave(request, head_fault, logged, None)
        try:
            await self._reader.read(request, parameters)
        finally:
            logged.params = parameters.describe()
        fault = self._world.faults.take(method, parameters.fields.get("chat_id"))
        if fault is not None and not fault.after and fault.kind != "slow":
            return await self._misbehave(request, fault, logged, None)
        if fault is not None and not fault.after:
            await asyncio.sleep(fault.delay)
        body = await self._perform(bot, method, parameters)
        if fault is not None and fault.after:
            return await self._misbehave(request, fault, logged, body)
        if method == "getUpdates" and request.transport is not None and not request.transport.is_closing():
            self._world.journal.delivered(body["result"])
        logged.end(200)
        return _answer(200, body)

    async def _perform(self, bot: Bot, method: str, parameters: Parameters) -> dict[str, Any]:
        if bot.logged_out:
            raise ApiError(400, "Logged out")
        call = Call(self._world, bot, method, bind(method, parameters.fields), parameters.uploads)
        check_uploads(call, file_parameters(method))
        result = await HANDLERS[method](call)
        if isinstance(result, tuple):
            return {"ok": True, "result": result[0], "description": result[1]}
        return {"ok": True, "result": result}

    async def _misbehave(
        self, request: web.Request, fault: Fault, logged: LoggedCall, body: dict[str, Any] | None
    ) -> web.StreamResponse:
        """`body` is the true answer, if the call was performed."""
        error = fault.error()
        if error is not None:
            return _fail(logged, error)
        if fault.kind == "garbage":
            logged.end(200, "garbage")
            return web.Response(body=GARBAGE, content_type="text/html")
        if fault.kind == "slow":
            await asyncio.sleep(fault.delay)
            logged.end(200, "slow")
            return _answer(200, body or {"ok": True, "result": True})
        logged.end(None, fault.kind)
        if fault.kind == "hang":
            while request.transport is not None and not request.transport.is_closing():
                await asyncio.sleep(DISCONNECT_POLL_SECONDS)
        response = web.StreamResponse()
        if fault.kind == "truncate":
            await _write_half(request, response, body or {"ok": True, "result": {"message_id": 1}})
        if request.transport is not None:
            request.transport.close()
        return response

    async def _download(self, request: web.Request) -> web.StreamResponse:
        bot = self._world.bot_by_token(unquote(request.match_info["token"]))
        if bot is None or request.method not in ("GET", "HEAD"):
            return _answer(404, not_found().body())
        # A local server hands out paths on its own disk and serves no files.
        path = None if self._world.options.local else self._world.files.served_path(
            bot.id, request.match_info["file_path"]
        )
        if path is None:
            return _answer(404, not_found().body())
        return web.FileResponse(path, headers={"Content-Type": "application/octet-stream"})


def _encode(body: dict[str, Any]) -> bytes:
    # Like the server: compact, and everything beyond ASCII escaped.
    return json.dumps(body, separators=(",", ":")).encode()


def _answer(status: int, body: dict[str, Any]) -> web.Response:
    response = web.Response(status=status, body=_encode(body), content_type="application/json")
    retry_after = body.get("parameters", {}).get("retry_after") if not body["ok"] else None
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _fail(logged: LoggedCall, error: ApiError) -> web.Response:
    logged.end(error.code, error.description)
    return _answer(error.code, error.body())


async def _write_half(request: web.Request, response: web.StreamResponse, body: dict[str, Any]) -> None:
    data = _encode(body)
    response.content_type = "application/json"
    response.content_length = len(data)
    await response.prepare(request)
    await response.write(data[: len(data) // 2])
