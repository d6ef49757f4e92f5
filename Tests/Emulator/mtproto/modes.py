"""Misbehaviour on demand: failing calls, hostile answers, and habits of the protocol that can be switched."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields
from typing import Any

from botapi.errors import ControlError

from .errors import RpcError, error_code
from .floods import RandomFloods

# The hostile acts of the server during the key exchange.
HANDSHAKE_HOSTILITIES = frozenset({
    "pq_nonce", "pq_prime", "pq_one", "fingerprint", "dh_nonce", "dh_server_nonce", "dh_answer_hash",
    "dh_inner_nonce", "dh_inner_server_nonce", "dh_answer_length", "dh_composite", "dh_unsafe_prime", "dh_small_prime",
    "dh_generator", "dh_generator_one", "g_a_zero", "g_a_one", "g_a_minus_one", "g_a_small", "g_a_large",
    "gen_nonce", "gen_server_nonce", "gen_hash", "gen_retry", "gen_fail", "dh_fail",
})  # fmt: skip
MESSAGE_HOSTILITIES = frozenset({
    "auth_key_id", "msg_key", "ciphertext", "session_id", "short_padding", "long_padding", "length_beyond",
    "length_negative", "length_unaligned", "msg_id_parity", "msg_id_stale", "msg_id_future", "msg_id_replay",
    "truncated_result", "unknown_constructor", "gzip_bomb", "gzip_garbage", "container_count", "container_length",
})  # fmt: skip
TRANSPORT_HOSTILITIES = frozenset({"frame_length", "garbage", "half_frame", "transport_404", "transport_429",
                                   "transport_444"})  # fmt: skip
HOSTILITIES = HANDSHAKE_HOSTILITIES | MESSAGE_HOSTILITIES | TRANSPORT_HOSTILITIES
FAULT_KINDS = frozenset({"error", "drop", "hang", "slow", "flood"})


@dataclass
class Habits:
    """Selects the behaviour of the server where the protocol leaves a choice. The control API can set each habit."""

    containers: str = "auto"
    """`always`: even one message is put into a container; `never`; `auto`: when there are several."""
    gzip: str = "auto"
    """Whether results are compressed: `always`, `never`, `auto` (above 512 bytes, files excepted)."""
    short_updates: bool = True
    """Plain text in private chats and groups arrives as updateShortMessage."""
    old_rsa: bool = False
    """Accept the padding from before RSA_PAD, which some clients still send."""
    resend_unacked: bool = True
    """Repeat the unacknowledged messages on a new connection."""
    ask_resend: int = 0
    """The next so many content messages are not processed but asked for again with msg_resend_req."""
    ask_state: int = 0
    """With the next so many answers, msgs_state_req asks for the state of the request."""
    detailed_info: int = 0
    """The next so many answers are only announced with msg_detailed_info, and sent when asked for."""
    drop_updates: int = 0
    """The next so many live updates are lost on their way."""
    reorder_updates: bool = False
    """Live updates arrive in pairs, the later one first."""
    difference_limit: int = 100
    """Events in one updates.getDifference; more come as a slice."""
    difference_too_long: int = 0
    """The next so many updates.getDifference are answered with differenceTooLong."""
    channel_too_long: int = 0
    """The next so many updates.getChannelDifference are answered with channelDifferenceTooLong."""
    channel_too_long_above: int = 3000
    """More missing events than this are channelDifferenceTooLong anyway."""
    history_short: int = 0
    """Of so many pages of messages.getHistory in a hundred, the last messages are left out. The first page is complete."""
    history_repeat: int = 0
    """So many pages in a hundred begin with messages of the page before, and have one message twice."""
    history_empty: int = 0
    """The next so many pages after a first one have no message, although there are older ones."""
    omit_missing: bool = True
    """messages.getMessages leaves out what is missing, as Telegram does, instead of answering messageEmpty."""
    split_ranges: int = 1
    """How many ranges messages.getSplitRanges tells."""
    takeout_delay: int = 0
    """Seconds for which an account has to wait after its first account.initTakeoutSession: TAKEOUT_INIT_DELAY_X."""
    min_users: bool = False
    """Users in live updates of channels are `min`."""
    any_layer: bool = False
    """Let clients of other layers in, although they are answered in the emulator's."""
    allow_duplicates: bool = False
    """Let one key have several main sessions at once, instead of AUTH_KEY_DUPLICATED."""
    cdn: str = "never"
    """Downloads are redirected to the CDN: `always`, `never`, `auto` (of clients that say they support it)."""
    cdn_reupload: int = 0
    """The next so many upload.getCdnFile are answered with cdnFileReuploadNeeded."""
    cdn_tamper: int = 0
    """The next so many pieces from the CDN have a bit flipped."""
    rotate_salt_every: int = 0
    """After so many accepted messages the salt is replaced, so that the next one gets bad_server_salt. 0: never."""
    repeat_answers: bool = False
    """A call with the same bytes as an earlier one gets that one's answer at once, neither checked nor logged: so that clients can be
    measured that are quicker than the emulator."""
    drop_every_bytes: int = 0
    """A connection is closed after it has received so many bytes. 0: never."""

    def set(self, orders: dict[str, Any]) -> None:
        known = {item.name: type(getattr(self, item.name)) for item in fields(self)}
        for name, value in orders.items():
            if name not in known:
                raise ControlError(f"unknown habit {name!r}; known are {', '.join(sorted(known))}")
            if type(value) is not known[name]:
                raise ControlError(f"{name} must be of type {known[name].__name__}")
            if known[name] is str and value not in ("always", "never", "auto"):
                raise ControlError(f"{name} must be always, never or auto")
        for name, value in orders.items():
            setattr(self, name, value)

    def take(self, name: str) -> bool:
        """Use up one of a counted habit, if there is one left."""
        left = getattr(self, name)
        if left > 0:
            setattr(self, name, left - 1)
        return bool(left > 0)


@dataclass
class CallFault:
    method: str
    kind: str = "error"
    error: str = "INTERNAL"
    code: int | None = None
    times: int = 1
    seconds: float = 1.0
    """For `slow`, the delay. For `flood`, how long the method is refused, counted from the first refusal."""
    after: bool = False
    """The call is performed first."""
    account: int | None = None
    dc: int | None = None
    closed_until: float | None = field(default=None, init=False)

    def rpc_error(self) -> RpcError:
        if self.kind == "flood":
            return RpcError(420, f"FLOOD_WAIT_{max(round((self.closed_until or 0) - time.time() + 0.5), 1)}")
        return RpcError(self.code if self.code is not None else error_code(self.error), self.error)

    def matches(self, method: str, account: int | None, dc: int) -> bool:
        if self.method not in ("*", method):
            return False
        if (self.account is not None and self.account != account) or (self.dc is not None and self.dc != dc):
            return False
        if self.kind != "flood":
            return self.times > 0
        if self.closed_until is None:
            self.closed_until = time.time() + self.seconds
        return time.time() < self.closed_until


@dataclass
class RateRule:
    """Answer more than `count` calls of a method within `seconds` with FLOOD_WAIT for the remaining time."""

    method: str
    count: int
    seconds: float
    wait: int | None = None
    """A fixed wait instead."""
    used: dict[int, list[float]] = field(default_factory=dict)
    until: dict[int, float] = field(default_factory=dict)

    def check(self, account: int) -> None:
        now = time.time()
        if now < self.until.get(account, 0):
            raise RpcError(420, f"FLOOD_WAIT_{max(int(self.until[account] - now + 0.999), 1)}")
        used = [at for at in self.used.get(account, []) if now - at < self.seconds]
        if len(used) >= self.count:
            wait = self.wait if self.wait is not None else max(int(used[0] + self.seconds - now + 0.999), 1)
            self.until[account] = now + wait
            raise RpcError(420, f"FLOOD_WAIT_{wait}")
        self.used[account] = [*used, now]


@dataclass
class Modes:
    habits: Habits = field(default_factory=Habits)
    faults: list[CallFault] = field(default_factory=list)
    rates: dict[str, RateRule] = field(default_factory=dict)
    hostilities: list[str] = field(default_factory=list)
    floods: list[RandomFloods] = field(default_factory=list)

    def check(self, account: int, method: str) -> None:
        """- Raises RpcError: FLOOD_WAIT, by a limit or by chance."""
        rule = self.rates.get(method)
        if rule is not None:
            rule.check(account)
        for floods in self.floods:
            floods.check(account, method)

    def clear(self) -> None:
        self.faults.clear()
        self.rates.clear()
        self.hostilities.clear()
        self.floods.clear()

    def fault(self, method: str, account: int | None, dc: int) -> CallFault | None:
        for fault in self.faults:
            if fault.matches(method, account, dc):
                fault.times -= 1
                return fault
        return None

    def is_hostile(self, *kinds: str) -> str | None:
        """Use up the next ordered hostility, if it is one of these."""
        for index, kind in enumerate(self.hostilities):
            if kind in kinds:
                return self.hostilities.pop(index)
        return None
