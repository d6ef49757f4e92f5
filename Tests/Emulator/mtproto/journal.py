"""Records the calls of clients and their violations of rules, so that tests can query them."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from .changes import Change

REMEMBERED = 50_000


@dataclass
class Entry:
    n: int
    method: str
    dc: int
    account: int | None
    session: str
    msg_id: str
    params: dict[str, Any]
    started_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    error: str | None = None
    """The error's text; null while the call runs, and if it went well."""
    layer: int | None = None
    takeout: bool = False
    """Whether the call was wrapped in invokeWithTakeout."""
    outcome: str = "running"
    """running, ok, error, dropped"""

    def end(self, outcome: str, error: str | None = None) -> None:
        self.outcome, self.error, self.ended_at = outcome, error, time.time()


class Journal:
    def __init__(self) -> None:
        self._calls: deque[Entry] = deque(maxlen=REMEMBERED)
        self._violations: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self._deliveries: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self._serial = 0

    def begin(self, **known: Any) -> Entry:
        self._serial += 1
        entry = Entry(self._serial, **known)
        self._calls.append(entry)
        return entry

    def violation(self, dc: int, what: str, code: int | None = None) -> None:
        """`code` is that of bad_msg_notification; null if the connection was ended."""
        self._violations.append({"at": time.time(), "dc": dc, "code": code, "what": what})

    def delivered(self, account: int, changes: list[Change], how: str) -> None:
        """`how`: live or difference."""
        now = time.time()
        for change in changes:
            self._deliveries.append({
                "account": account, "kind": change.kind, "chat_id": change.chat_id, "message_ids": change.message_ids,
                "pts": change.pts, "how": how, "at": now,
            })  # fmt: skip

    def clear(self) -> None:
        self._calls.clear()
        self._deliveries.clear()
        self._violations.clear()

    def record(self, method: str | None, account: int | None) -> dict[str, Any]:
        calls = [
            vars(entry) for entry in self._calls
            if (method is None or entry.method.lower() == method.lower())
            and (account is None or entry.account == account)
        ]  # fmt: skip
        deliveries = [one for one in self._deliveries if account is None or one["account"] == account]
        return {"calls": calls, "deliveries": deliveries, "violations": list(self._violations)}


def describe(request: Any, depth: int = 0) -> Any:
    """A call's parameters as JSON: long bytes as their length, secrets left out."""
    if hasattr(request, "__dict__"):
        shown = {name: describe(value, depth + 1) for name, value in vars(request).items() if value is not None}
        return shown if depth == 0 else {"_": type(request).__name__} | shown
    if isinstance(request, (list, tuple)):
        return [describe(item, depth + 1) for item in request[:100]]
    if isinstance(request, bytes):
        return {"hex": request.hex()} if len(request) <= 64 else {"bytes": len(request)}
    if isinstance(request, int) and not isinstance(request, bool) and abs(request) >= 1 << 53:
        return str(request)
    return request if isinstance(request, (str, int, float, bool, type(None))) else str(request)
