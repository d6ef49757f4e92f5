"""The service messages of the protocol, and the way of a received packet to the calls in it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .envelope import Received
from .errors import BadMessage, RpcError
from .inbox import MAX_CONTAINER_MESSAGES, Message
from .keys import AuthKey
from .rpc import Call, answer, perform
from .session import Session
from .tl import GZIP_PACKED, MSG_CONTAINER, TLRequest, constructor, functions, read, types, unpack_gzip

if TYPE_CHECKING:
    from .connection import Connection
    from .core import Core

MAX_SESSIONS = 100


class Receiver:
    """Handles one packet."""

    def __init__(self, core: Core, key: AuthKey, dc: int, wire: Connection) -> None:
        self._core, self._key, self._dc, self._wire = core, key, dc, wire
        self._handlers: dict[type, Callable[[Session, Message, Any], None]] = {
            functions.PingRequest: self._ping, functions.PingDelayDisconnectRequest: self._ping_delay,
            types.MsgsAck: self._ack, functions.GetFutureSaltsRequest: self._future_salts,
            types.MsgsStateReq: self._state_request, types.MsgsStateInfo: self._state_info,
            types.MsgsAllInfo: self._state_info, types.MsgResendReq: self._resend,
            functions.DestroySessionRequest: self._destroy_session, functions.RpcDropAnswerRequest: self._drop_answer,
            functions.DestroyAuthKeyRequest: self._destroy_key,
        }  # fmt: skip

    def receive(self, packet: Received) -> Session | None:
        session = self._key.sessions.get(packet.session_id)
        outer = Message(packet.msg_id, packet.seqno, packet.body)
        fresh = session or Session(packet.session_id, self._key, self._core.clock, self._core.modes)
        try:
            fresh.inbox.check_id(outer.msg_id)
            if not self._key.salts.accepts(packet.salt):
                raise BadMessage(48, "an old salt")
            if fresh.inbox.is_duplicate(outer):
                fresh.attach(self._wire)
                self._duplicate(fresh, outer)
                return fresh
            fresh.inbox.check_seqno(outer)
            messages = self._unwrap(fresh, outer)
        except BadMessage as error:
            self._refuse(fresh, outer, error)
            return session
        if session is None:
            self._begin(fresh, messages)
        fresh.attach(self._wire)
        self._rotate_salt(fresh, len(messages))
        for message in messages:
            self._handle(fresh, message)
        return fresh

    def _begin(self, session: Session, messages: list[Message]) -> None:
        gone = [known for known in self._key.sessions.values() if not known.is_connected]
        for old in gone[: max(len(self._key.sessions) - MAX_SESSIONS, 0)]:
            del self._key.sessions[old.id]
        self._key.sessions[session.id] = session
        first = min((message.msg_id for message in messages), default=0)
        session.send(types.NewSessionCreated(first, session.unique_id, self._key.salts.current()))

    def _rotate_salt(self, session: Session, count: int) -> None:
        every = self._core.modes.habits.rotate_salt_every
        before, session.counters.received = session.counters.received, session.counters.received + count
        if every and before // every != session.counters.received // every:
            self._key.salts.replace()

    def _unwrap(self, session: Session, outer: Message) -> list[Message]:
        """The messages of a container, or the message itself; all of them accepted by the inbox."""
        session.inbox.accept(outer)
        if constructor(outer.body) != MSG_CONTAINER:
            return [outer]
        accepted: list[Message] = []
        try:
            for message in self._contents(outer):
                session.inbox.check_id(message.msg_id, is_in_container=True)
                if message.msg_id >= outer.msg_id or message.seqno > outer.seqno:
                    raise BadMessage(64, "a container must have a higher msg_id and seqno than what is in it")
                if session.inbox.is_duplicate(message):
                    self._duplicate(session, message)
                    continue
                session.inbox.check_seqno(message)
                session.inbox.accept(message)
                accepted.append(message)
        except BadMessage:
            for message in [outer, *accepted]:
                session.inbox.forget(message.msg_id)
            raise
        return accepted

    @staticmethod
    def _contents(outer: Message) -> list[Message]:
        count = struct.unpack_from("<i", outer.body, 4)[0] if len(outer.body) >= 8 else -1
        if not 0 <= count <= MAX_CONTAINER_MESSAGES:
            raise BadMessage(64, f"a container of {count} messages")
        place, found = 8, []
        for _ in range(count):
            if len(outer.body) - place < 16:
                raise BadMessage(64, "a container that ends too early")
            msg_id, seqno, length = struct.unpack_from("<qii", outer.body, place)
            body = outer.body[place + 16 : place + 16 + max(length, 0)]
            if length < 4 or length % 4 or len(body) != length or constructor(body) == MSG_CONTAINER:
                raise BadMessage(64, f"a message of {length} bytes in a container, or a container in it")
            found.append(Message(msg_id, seqno, body, True))
            place += 16 + length
        if place != len(outer.body):
            raise BadMessage(64, "bytes after the last message of a container")
        return found

    def _refuse(self, session: Session, message: Message, error: BadMessage) -> None:
        self._core.journal.violation(self._dc, str(error), error.code)
        session.counters.bad_messages += 1
        session.attach(self._wire)
        if error.code == 48:
            session.send(
                types.BadServerSalt(message.msg_id, message.seqno, 48, self._key.salts.current()), content=False
            )
        else:
            session.send(types.BadMsgNotification(message.msg_id, message.seqno, error.code), content=False)

    def _duplicate(self, session: Session, message: Message) -> None:
        """Handle a repeated message: repeat its answer if there is one, without repeating its effect."""
        session.counters.duplicates += 1
        trace = session.inbox.trace(message.msg_id)
        if trace is None or constructor(message.body) == MSG_CONTAINER:
            return
        if trace.answer_id is None or not session.send_again(trace.answer_id):
            session.send(types.MsgsAck([message.msg_id]), content=False)

    def _handle(self, session: Session, message: Message) -> None:
        body = message.body
        repeated = self._core.answers.get(body) if self._core.modes.habits.repeat_answers else None
        if repeated is not None:
            answer(session, message.msg_id, repeated, self._core)
            return
        if message.seqno & 1 and self._core.modes.habits.take("ask_resend"):
            session.inbox.forget(message.msg_id)
            session.send(types.MsgResendReq([message.msg_id]), content=False)
            return
        try:
            if constructor(body) == GZIP_PACKED:
                body = unpack_gzip(body)
            request = read(body)
        except RpcError as error:
            session.owe_ack(message.msg_id)
            answer(session, message.msg_id, types.RpcError(error.code, error.text), self._core)
            return
        handler = self._handlers.get(type(request))
        if message.seqno & 1:
            session.owe_ack(message.msg_id)
        if handler is not None:
            handler(session, message, request)
        elif isinstance(request, TLRequest):
            perform(Call(self._core, session, self._wire, self._dc, message.msg_id, request))
        else:
            answer(session, message.msg_id, types.RpcError(400, "INPUT_METHOD_INVALID"), self._core)

    def _ping(self, session: Session, message: Message, request: Any) -> None:
        session.send(types.Pong(message.msg_id, request.ping_id), content=False)
        self._answered(session, message)

    def _ping_delay(self, session: Session, message: Message, request: Any) -> None:
        self._wire.disconnect_in(max(request.disconnect_delay, 0))
        self._ping(session, message, request)

    @staticmethod
    def _answered(session: Session, message: Message) -> None:
        trace = session.inbox.trace(message.msg_id)
        if trace is not None:
            trace.is_answered = True

    def _ack(self, session: Session, message: Message, request: Any) -> None:
        session.acknowledge(request.msg_ids)

    def _future_salts(self, session: Session, message: Message, request: Any) -> None:
        rows = [types.FutureSalt(*row) for row in self._key.salts.future(request.num)]
        # Bare salts in a bare vector.
        body = struct.pack("<Iqii", 0xAE500895, message.msg_id, int(self._core.clock.now()), len(rows))
        session.send(body + b"".join(bytes(row)[4:] for row in rows), content=False)
        self._answered(session, message)

    def _state_request(self, session: Session, message: Message, request: Any) -> None:
        info = bytes(session.inbox.state(msg_id) for msg_id in request.msg_ids)
        session.send(types.MsgsStateInfo(message.msg_id, info), content=False)
        self._answered(session, message)

    def _state_info(self, session: Session, message: Message, request: Any) -> None:
        """Log a client's report about the server's messages."""
        self._core.journal.begin(
            method="msgs_state_info", dc=self._dc, account=None, session=str(session.id), msg_id=str(message.msg_id),
            params={"info": [ord(state) for state in request.info]},
        ).end("ok")  # fmt: skip

    def _resend(self, session: Session, message: Message, request: Any) -> None:
        gone = [msg_id for msg_id in request.msg_ids if not session.send_again(msg_id)]
        if gone:
            # Unknown to the server, which says so.
            session.send(types.MsgsStateInfo(message.msg_id, bytes([1]) * len(request.msg_ids)), content=False)
        self._answered(session, message)

    def _destroy_session(self, session: Session, message: Message, request: Any) -> None:
        other = self._key.sessions.get(request.session_id)
        if other is None or other is session:
            session.send(types.DestroySessionNone(request.session_id), content=False)
        else:
            self._key.sessions.pop(other.id)
            session.send(types.DestroySessionOk(request.session_id), content=False)
        self._answered(session, message)

    def _drop_answer(self, session: Session, message: Message, request: Any) -> None:
        trace = session.inbox.trace(request.req_msg_id)
        pending = session.unacked.get(trace.answer_id) if trace and trace.answer_id is not None else None
        result: Any = types.RpcAnswerUnknown()
        if trace is not None and not trace.is_answered:
            trace.is_answered = True  # its answer, when there is one, is not sent
            result = types.RpcAnswerDroppedRunning()
        elif pending is not None:
            del session.unacked[pending.msg_id]
            result = types.RpcAnswerDropped(pending.msg_id, pending.seqno, len(pending.body))
        answer(session, message.msg_id, result, self._core)

    def _destroy_key(self, session: Session, message: Message, request: Any) -> None:
        answer(session, message.msg_id, types.DestroyAuthKeyOk(), self._core)
        self._core.keys.remove(self._key)
