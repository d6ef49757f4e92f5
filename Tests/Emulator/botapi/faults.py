"""Injects faults on request."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from .errors import ApiError, ControlError, too_many_requests

_DESCRIPTIONS = {
    400: "Bad Request: invalid request",
    401: "Unauthorized",
    403: "Forbidden: bot was blocked by the user",
    409: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    500: "Internal Server Error",
    502: "Bad Gateway",
}
CODES = frozenset(_DESCRIPTIONS) | {429}
TRANSPORT_KINDS = frozenset({"drop", "truncate", "slow", "hang", "garbage"})


@dataclass
class Fault:
    """`after`: the call is performed first. `head`: the body is not even read (then `chat_id` cannot be matched).

    `seconds`: every matching call fails for this time, instead of `times` calls.
    """

    method: str
    kind: str
    times: int = 1
    retry_after: int = 1
    description: str | None = None
    delay: float = 1.0
    after: bool = False
    head: bool = False
    chat_id: int | None = None
    seconds: float | None = None
    until: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.until = time.monotonic() + (self.seconds or 0)

    def error(self) -> ApiError | None:
        """The error answer of a fault that is one."""
        if not self.kind.isdigit():
            return None
        code = int(self.kind)
        if code == 429:
            error = too_many_requests(self.retry_after)
            error.description = self.description or error.description
            return error
        return ApiError(code, self.description or _DESCRIPTIONS[code])

    def matches(self, method: str, chat_id: Any, head: bool) -> bool:
        if self.head is not head:
            return False
        if self.times < 1 if self.seconds is None else time.monotonic() >= self.until:
            return False
        if self.chat_id is not None and str(chat_id) != str(self.chat_id):
            return False
        return self.method == "*" or self.method.lower() == method.lower()


class FaultPlan:
    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        if fault.kind not in TRANSPORT_KINDS and not (fault.kind.isdigit() and int(fault.kind) in CODES):
            known = ", ".join(sorted(TRANSPORT_KINDS) + sorted(str(code) for code in CODES))
            raise ControlError(f"unknown kind {fault.kind!r}; known are {known}")
        if fault.head and fault.chat_id is not None:
            raise ControlError("a fault at the head cannot know the chat_id")
        self._faults.append(fault)

    def clear(self) -> None:
        self._faults.clear()

    def take(self, method: str, chat_id: Any = None, *, head: bool = False) -> Fault | None:
        """The first fault that matches this call, used up by one."""
        for fault in self._faults:
            if fault.matches(method, chat_id, head):
                fault.times -= 1
                return fault
        return None
