"""One client session: its outgoing and unacknowledged messages, and its move to a new connection."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from .clock import Clock
from .envelope import seal
from .inbox import Inbox
from .keys import AuthKey, random_long
from .modes import MESSAGE_HOSTILITIES, Modes
from .spoiling import spoil_body
from .tl import container, types

if TYPE_CHECKING:
    from .account import Account

MAX_UNACKED = 20_000
CONTAINER_BYTES = 1 << 20
ACK_DELAY_SECONDS = 0.1
_BODY_SPOILERS = frozenset({"truncated_result", "unknown_constructor", "gzip_bomb", "gzip_garbage", "container_count",
                            "container_length"})  # fmt: skip


class Wire(Protocol):
    """A connection, as a session sees it."""

    def send_packet(self, packet: bytes) -> None: ...
    def close(self, reason: str) -> None: ...


@dataclass
class Outgoing:
    msg_id: int
    seqno: int
    body: bytes
    answers: int | None = None
    """The msg_id of the call that this is the result of."""

    @property
    def is_content(self) -> bool:
        return bool(self.seqno & 1)


@dataclass
class Counters:
    received: int = 0
    sent: int = 0
    acknowledged: int = 0
    resent: int = 0
    bad_messages: int = 0
    duplicates: int = 0


@dataclass(eq=False)
class Session:
    id: int
    key: AuthKey
    clock: Clock
    modes: Modes
    wire: Wire | None = None
    is_main: bool = False
    """Whether the session receives the account's live updates."""
    unique_id: int = field(default_factory=random_long)
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        self.inbox = Inbox(self.clock)
        self.unacked: OrderedDict[int, Outgoing] = OrderedDict()
        self._content_sent = 0
        self._queue: list[Outgoing] = []
        self._acks: list[int] = []
        self._is_flushing = False
        self.held: list[bytes] = []
        """A live update that waits for the next one, to be sent after it."""

    @property
    def account(self) -> Account | None:
        return self.key.owner.account

    @property
    def oldest_unacknowledged(self) -> float | None:
        """The seconds since the oldest unacknowledged message was sent; None if there is none."""
        first = next(iter(self.unacked), None)
        return None if first is None else max(self.clock.now() - first / (1 << 32), 0)

    @property
    def is_connected(self) -> bool:
        return self.wire is not None

    def attach(self, wire: Wire) -> None:
        """Attach the client's connection and resend the unacknowledged messages."""
        if self.wire is wire:
            return
        self.wire = wire
        if self.unacked and self.modes.habits.resend_unacked:
            self.counters.resent += len(self.unacked)
            waiting = {message.msg_id for message in self._queue}
            self._queue = [m for m in self.unacked.values() if m.msg_id not in waiting] + self._queue
            self._schedule()

    def detach(self, wire: Wire) -> None:
        if self.wire is wire:
            self.wire = None

    def close(self) -> None:
        """Forget the session; its connection ends."""
        self.key.sessions.pop(self.id, None)
        if self.wire is not None:
            self.wire.close("the session is over")

    def send(self, value: object, *, content: bool = True, answers: int | None = None) -> int:
        """Queue a message, to be sent together with others of the same moment."""
        body = value if isinstance(value, bytes) else bytes(value)  # type: ignore[call-overload]
        seqno = self._content_sent * 2 + int(content)
        self._content_sent += int(content)
        message = Outgoing(self.clock.msg_id(1 if answers is not None else 3), seqno, body, answers)
        if content:
            self.unacked[message.msg_id] = message
            if len(self.unacked) > MAX_UNACKED:
                self.unacked.popitem(last=False)
        self._queue.append(message)
        self._schedule()
        return message.msg_id

    def send_again(self, msg_id: int) -> bool:
        message = self.unacked.get(msg_id)
        if message is None:
            return False
        self.counters.resent += 1
        self._queue.append(message)
        self._schedule()
        return True

    def hold_answer(self, body: bytes, answers: int) -> int:
        """Keep an answer for when the client asks for it."""
        msg_id = self.send(body, answers=answers)
        self._queue.pop()
        return msg_id

    def acknowledge(self, msg_ids: list[int]) -> None:
        for msg_id in msg_ids:
            if self.unacked.pop(msg_id, None) is not None:
                self.counters.acknowledged += 1

    def owe_ack(self, msg_id: int) -> None:
        """Acknowledge soon, unless the answer is quicker."""
        if not self._acks:
            asyncio.get_running_loop().call_later(ACK_DELAY_SECONDS, self._send_acks)
        self._acks.append(msg_id)

    def _send_acks(self) -> None:
        owed = [msg_id for msg_id in self._acks if not ((trace := self.inbox.trace(msg_id)) and trace.is_answered)]
        self._acks = []
        if owed and self.is_connected:
            self.send(types.MsgsAck(owed[:8192]), content=False)

    def _schedule(self) -> None:
        if not self._is_flushing:
            self._is_flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        queue, self._queue = self._queue, []
        wire = self.wire
        if wire is None:
            return  # what matters is among the unacknowledged
        while queue and self.wire is wire:
            batch, size = [queue.pop(0)], 0
            size = len(batch[0].body)
            while queue and len(batch) < 100 and size + len(queue[0].body) < CONTAINER_BYTES:
                size += len(queue[0].body)
                batch.append(queue.pop(0))
            self._send_batch(wire, batch)

    def _send_batch(self, wire: Wire, batch: list[Outgoing]) -> None:
        habit = self.modes.habits.containers
        self.counters.sent += len(batch)
        spoilt = self._spoilt(batch)
        if spoilt is not None or habit == "never" or (len(batch) == 1 and habit == "auto"):
            for message in batch:
                self._send_alone(wire, message, spoilt if message.answers is not None else None)
            return
        batch.sort(key=lambda message: message.msg_id)
        body = container([(message.msg_id, message.seqno, message.body) for message in batch])
        msg_id, seqno = self.clock.msg_id(3), self._content_sent * 2
        wire.send_packet(seal(self.key, self.id, msg_id, seqno, body))

    def _spoilt(self, batch: list[Outgoing]) -> str | None:
        if all(message.answers is None for message in batch):
            return None
        return self.modes.is_hostile(*MESSAGE_HOSTILITIES)

    def _send_alone(self, wire: Wire, message: Outgoing, spoilt: str | None) -> None:
        body = message.body
        if spoilt in _BODY_SPOILERS:
            body = spoil_body(spoilt, body, message.answers or 0)
        wire.send_packet(seal(self.key, self.id, message.msg_id, message.seqno, body, spoilt))
        if spoilt == "msg_id_replay":
            wire.send_packet(seal(self.key, self.id, message.msg_id, message.seqno, body))
