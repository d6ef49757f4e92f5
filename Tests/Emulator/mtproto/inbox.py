"""The received messages of one session: the rules for message ids and sequence numbers, and each message's result."""

from __future__ import annotations

import bisect
from dataclasses import dataclass

from .clock import Clock
from .errors import BadMessage
from .tl import MSG_CONTAINER, constructor

OLDEST_SECONDS, NEWEST_SECONDS = 300, 30
REMEMBERED = 4000
MAX_CONTAINER_MESSAGES = 1020

# Never a multiple of anything the client waits for, so never content-related.
_ALWAYS_EVEN = frozenset({MSG_CONTAINER, 0x62D6B459})  # msg_container, msgs_ack
# Clients differ about these.
_EITHER = frozenset({
    0x7ABE77EC,  # ping
    0xF3427B8C,  # ping_delay_disconnect
    0xB921BD04,  # get_future_salts
    0xE7512126,  # destroy_session
    0x58E4A740,  # rpc_drop_answer
    0x9299359F,  # http_wait
    0x04DEB57D,  # msgs_state_info
    0x8CC0D131,  # msgs_all_info
    0xDA69FB52,  # msgs_state_req
    0x7D861A08,  # msg_resend_req
})  # fmt: skip


@dataclass
class Message:
    msg_id: int
    seqno: int
    body: bytes
    is_in_container: bool = False


@dataclass
class Trace:
    """Holds the remembered state of a received message."""

    seqno: int
    answer_id: int | None = None
    is_answered: bool = False
    failed: bool = False


class Inbox:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._traces: dict[int, Trace] = {}
        self._order: list[int] = []

    def trace(self, msg_id: int) -> Trace | None:
        return self._traces.get(msg_id)

    def is_duplicate(self, message: Message) -> bool:
        trace = self._traces.get(message.msg_id)
        return trace is not None

    def check_id(self, msg_id: int, *, is_in_container: bool = False) -> None:
        if msg_id & 3:
            raise BadMessage(18, f"msg_id {msg_id} of a client is no multiple of 4")
        age = self._clock.now() - (msg_id >> 32)
        if age > OLDEST_SECONDS:
            raise BadMessage(16, f"msg_id is {age:.0f} s old")
        if age < -NEWEST_SECONDS:
            raise BadMessage(17, f"msg_id is {-age:.0f} s ahead")
        if not is_in_container and self._order and len(self._order) >= REMEMBERED and msg_id < self._order[0]:
            raise BadMessage(20, "msg_id is older than what is remembered")

    def check_seqno(self, message: Message) -> None:
        kind, is_odd = constructor(message.body), bool(message.seqno & 1)
        if kind in _ALWAYS_EVEN and is_odd:
            raise BadMessage(34, f"an odd seqno for {kind:08x}")
        if kind not in _ALWAYS_EVEN and kind not in _EITHER and not is_odd:
            raise BadMessage(35, f"an even seqno for {kind:08x}")
        place = bisect.bisect_left(self._order, message.msg_id)
        if place and not self._fits(self._traces[self._order[place - 1]].seqno, message.seqno):
            raise BadMessage(32, f"seqno {message.seqno} is not above that of an earlier message")
        later = self._order[place : place + 1]
        if later and later[0] != message.msg_id and not self._fits(message.seqno, self._traces[later[0]].seqno):
            raise BadMessage(33, f"seqno {message.seqno} is not below that of a later message")

    @staticmethod
    def _fits(earlier: int, later: int) -> bool:
        # Content messages count up by two from 1; others carry the number that comes next.
        return later > earlier if earlier & 1 else later >= earlier

    def accept(self, message: Message) -> None:
        self._traces[message.msg_id] = Trace(message.seqno)
        bisect.insort(self._order, message.msg_id)
        if len(self._order) > REMEMBERED:
            for old in self._order[: REMEMBERED // 4]:
                del self._traces[old]
            del self._order[: REMEMBERED // 4]

    def forget(self, msg_id: int) -> None:
        """Forgets a message, as if it had never arrived."""
        if self._traces.pop(msg_id, None) is not None:
            self._order.remove(msg_id)

    def state(self, msg_id: int) -> int:
        """One byte of msgs_state_info."""
        trace = self._traces.get(msg_id)
        if trace is None:
            if self._order and msg_id < self._order[0]:
                return 1
            return 3 if self._order and msg_id > self._order[-1] else 2
        return 4 | (64 if trace.is_answered else 32)
