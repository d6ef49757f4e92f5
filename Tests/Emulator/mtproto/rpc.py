"""Calls: unwrapped, checked, faulted on request, performed and answered."""

from __future__ import annotations

import asyncio
import inspect
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botapi.model import Chat

from .account import SHARED, Account
from .errors import RpcError, SilentDrop, bad_request, migrate
from .journal import Entry, describe
from .keys import AuthKey, Client
from .modes import CallFault
from .session import Session
from .tl import LAYER, TLRequest, Written, functions, method_name, pack_gzip, rpc_result, types, write

if TYPE_CHECKING:
    from .connection import Connection
    from .core import Core

Result = Any
Handler = Callable[["Call", Any], Result | Awaitable[Result]]
GZIP_ABOVE_BYTES = 512
AFTER_SECONDS = 30.0
_FILES = (types.upload.File, types.upload.CdnFile)


@dataclass(frozen=True)
class Method:
    handler: Handler
    anonymous: bool
    """May be called without an authorization."""
    anywhere: bool
    """May be called at other data centres than the account's own."""
    bots: bool
    """May be called by bots."""
    cdn: bool


METHODS: dict[type, Method] = {}


def method(
    kind: type, *, anonymous: bool = False, anywhere: bool = False, bots: bool = True, cdn: bool = False
) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        METHODS[kind] = Method(handler, anonymous, anywhere or anonymous, bots, cdn)
        return handler

    return register


@dataclass
class Call:
    core: Core
    session: Session
    wire: Connection
    dc: int
    msg_id: int
    request: TLRequest
    without_updates: bool = False
    takeout: int | None = None
    message_range: tuple[int, int] | None = None
    """That of invokeWithMessagesRange, both ends included."""
    after: list[int] = field(default_factory=list)

    @property
    def key(self) -> AuthKey:
        return self.session.key

    @property
    def account(self) -> Account:
        account = self.key.owner.account
        if account is None:
            raise RpcError(401, "AUTH_KEY_UNREGISTERED")
        return account

    def range_of(self, chat: Chat) -> tuple[int, int] | None:
        """Return the range of ids that was asked for; it concerns the chats that share one sequence of ids."""
        return None if chat.type in SHARED else self.message_range

    def unwrap(self) -> None:
        """Unwrap the invoke… wrappers and apply each one's effect."""
        while True:
            request: Any = self.request
            if isinstance(request, functions.InvokeWithLayerRequest):
                # Answers are of one layer only; to answer another one in it would be a trap.
                if request.layer != LAYER and not self.core.modes.habits.any_layer:
                    raise bad_request("CONNECTION_LAYER_INVALID")
                self.key.owner.layer = request.layer
            elif isinstance(request, functions.InitConnectionRequest):
                self._init(request)
            elif isinstance(request, functions.InvokeWithoutUpdatesRequest):
                self.without_updates = True
            elif isinstance(request, functions.InvokeAfterMsgRequest):
                self.after.append(request.msg_id)
            elif isinstance(request, functions.InvokeAfterMsgsRequest):
                self.after += request.msg_ids
            elif isinstance(request, functions.InvokeWithTakeoutRequest):
                if request.takeout_id not in self.key.owner.takeouts:
                    raise bad_request("TAKEOUT_INVALID")
                self.takeout = request.takeout_id
            elif isinstance(request, functions.InvokeWithMessagesRangeRequest):
                self.message_range = (request.range.min_id, request.range.max_id)
            else:
                return
            if not isinstance(request.query, TLRequest):
                raise bad_request("INPUT_METHOD_INVALID")
            self.request = request.query

    def _init(self, request: Any) -> None:
        if self.key.owner.layer is None:
            raise bad_request("CONNECTION_LAYER_INVALID")
        if request.api_id != self.core.settings.api_id:
            raise bad_request("CONNECTION_API_ID_INVALID")
        names = {"device_model": "DEVICE_MODEL", "system_version": "SYSTEM", "app_version": "APP_VERSION"}
        for name, error in names.items():
            if not getattr(request, name):
                raise bad_request(f"CONNECTION_{error}_EMPTY")
        self.key.owner.client = Client(
            self.key.owner.layer, request.api_id, request.device_model, request.app_version, self.core.clock.now()
        )


def perform(call: Call) -> None:
    """Answer a call, at once if nothing has to be waited for."""
    task = asyncio.get_running_loop().create_task(_perform(call))
    _RUNNING.add(task)
    task.add_done_callback(_RUNNING.discard)


_RUNNING: set[asyncio.Task[None]] = set()


async def _perform(call: Call) -> None:
    entry: Entry | None = None
    try:
        call.unwrap()
        account = call.key.owner.account
        entry = call.core.journal.begin(
            method=method_name(call.request), dc=call.dc, account=account.id if account else None,
            session=str(call.session.id), msg_id=str(call.msg_id), params=_shown(call.request),
            layer=call.key.owner.layer, takeout=call.takeout is not None,
        )  # fmt: skip
        if account is not None:
            call.core.ledger.called(account.id, entry.method, call.msg_id)
        result: Any = await _result(call, entry.method)
        result = result if isinstance(result, (Written, *_FILES)) else write(result)
        entry.end("ok")
        if call.core.modes.habits.repeat_answers and isinstance(result, bytes):
            call.core.answers[bytes(call.request)] = result
    except RpcError as error:
        result = types.RpcError(error.code, error.text)
        if entry is not None:
            entry.end("error", error.text)
            if entry.account is not None:
                call.core.ledger.refused(entry.account, entry.method, error.text)
    except SilentDrop as drop:
        if entry is not None:
            entry.end("dropped", drop.kind)
        _drop(call, drop)
        return
    except Exception:  # whatever goes wrong, the client gets an answer and the log the reason
        traceback.print_exc(file=sys.stderr)
        result = types.RpcError(500, _DEFECT)
        if entry is not None:
            entry.end("error", _DEFECT)
    answer(call.session, call.msg_id, result, call.core)


def _drop(call: Call, drop: SilentDrop) -> None:
    if drop.kind == "hang":
        return
    call.wire.abort()
    if drop.result is None:
        call.session.inbox.forget(call.msg_id)  # it got lost on its way
    else:
        answer(call.session, call.msg_id, drop.result, call.core)  # it waits for the next connection


_DEFECT = "INTERNAL_DEFECT_OF_THE_EMULATOR"
_SECRET = {"phone_number", "phone_code", "api_hash", "bot_auth_token", "password", "bytes"}


def _shown(request: Any) -> dict[str, Any]:
    shown: dict[str, Any] = describe(request)
    return {name: "…" if name in _SECRET and isinstance(value, str) else value for name, value in shown.items()}


async def _result(call: Call, name: str) -> Result:
    account = call.key.owner.account
    fault = call.core.modes.fault(name, account.id if account else None, call.dc)
    if fault is not None and not fault.after:
        await _misbehave(fault)
    known = METHODS.get(type(call.request))
    if known is None:
        print(f"emulator: {name} is not implemented", file=sys.stderr)
        raise bad_request("METHOD_INVALID")
    _admit(call, known, name)
    for earlier in call.after:
        await _await_answer(call, earlier)
    result = known.handler(call, call.request)
    if inspect.isawaitable(result):
        result = await result
    if fault is not None and fault.after:
        await _misbehave(fault, result)
    return result


def _admit(call: Call, known: Method, name: str) -> None:
    """- Raises RpcError: why this key may not call this method here and now."""
    key, owner = call.key, call.key.owner
    if key.expires_at is not None and key.permanent is None and not key.is_cdn and name != "auth.bindTempAuthKey":
        raise RpcError(401, "AUTH_KEY_PERM_EMPTY")
    if known.cdn is not key.is_cdn:
        raise RpcError(401 if key.is_cdn else 400, "AUTH_KEY_UNREGISTERED" if key.is_cdn else "METHOD_INVALID")
    if owner.client is None and not known.cdn and name != "auth.bindTempAuthKey":
        raise bad_request("CONNECTION_NOT_INITED")
    account = owner.account
    if account is None:
        if known.anonymous:
            return
        waiting = "SESSION_PASSWORD_NEEDED" if owner.awaiting_password else "AUTH_KEY_UNREGISTERED"
        raise RpcError(401, owner.refusal or waiting)
    account.count_call()
    if account.banned is not None:
        raise RpcError(401, account.banned)
    if account.is_bot and not known.bots:
        raise bad_request("BOT_METHOD_INVALID")
    if not known.anywhere and account.dc != call.dc:
        raise migrate("USER", account.dc)
    call.core.modes.check(account.id, name)
    if not known.anywhere and not call.without_updates:
        _become_main(call)


def _become_main(call: Call) -> None:
    """The session gets live updates from now on. Another one of the same key must not, not at the same time."""
    if call.session.is_main:
        return
    call.session.is_main = True
    others = [s for s in call.key.owner.sessions.values() if s.is_main and s is not call.session]
    for key in call.core.keys.all():
        if key.permanent is call.key.owner:
            others += [s for s in key.sessions.values() if s.is_main and s is not call.session]
    if call.core.modes.habits.allow_duplicates:
        return
    if any(other.wire is not None and other.wire is not call.wire for other in others):
        call.key.owner.sign_out("AUTH_KEY_UNREGISTERED")
        call.core.journal.violation(call.dc, "one key has two main connections")
        raise RpcError(406, "AUTH_KEY_DUPLICATED")
    for other in others:
        # The client gets the messages that it has not acknowledged from the difference.
        other.is_main = False
        other.unacked.clear()


async def _misbehave(fault: CallFault, result: Result = None) -> None:
    if fault.kind in ("error", "flood"):
        raise fault.rpc_error()
    if fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
        return
    raise SilentDrop(fault.kind, result)


async def _await_answer(call: Call, earlier: int) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + AFTER_SECONDS
    while True:
        trace = call.session.inbox.trace(earlier)
        if trace is None or loop.time() > until:
            raise bad_request("MSG_WAIT_FAILED")
        if trace.is_answered:
            if trace.failed:
                raise bad_request("MSG_WAIT_FAILED")
            return
        await asyncio.sleep(0.005)


def answer(session: Session, msg_id: int, result: Any, core: Core) -> None:
    trace = session.inbox.trace(msg_id)
    if trace is not None and trace.is_answered:
        return  # rpc_drop_answer
    body, habits = write(result), core.modes.habits
    is_file = isinstance(result, _FILES)
    if habits.gzip == "always" or (habits.gzip == "auto" and len(body) > GZIP_ABOVE_BYTES and not is_file):
        packed = result.packed() if isinstance(result, Written) else pack_gzip(body)
        body = packed if len(packed) < len(body) or habits.gzip == "always" else body
    body = rpc_result(msg_id, body)
    if habits.take("detailed_info"):
        answer_id = session.hold_answer(body, msg_id)
        session.send(types.MsgDetailedInfo(msg_id, answer_id, len(body), 0), content=False)
    else:
        answer_id = session.send(body, answers=msg_id)
    if habits.take("ask_state"):
        session.send(types.MsgsStateReq([answer_id]), content=False)
    if trace is not None:
        trace.is_answered, trace.answer_id = True, answer_id
        trace.failed = isinstance(result, types.RpcError)
