"""Records calls and deliveries for the tests."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Call:
    n: int
    method: str
    bot: int | None
    started_at: float = field(default_factory=time.time)
    params: dict[str, Any] = field(default_factory=dict)
    status: int | None = None
    """None while the call is under way, and for good if the connection was dropped."""
    description: str | None = None
    ended_at: float | None = None

    def end(self, status: int | None, description: str | None = None) -> None:
        self.status = status
        self.description = description
        self.ended_at = time.time()

    def record(self) -> dict[str, Any]:
        record = dict(vars(self))
        if self.description is None:
            del record["description"]
        return record


class Journal:
    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._deliveries: list[dict[str, Any]] = []
        self._serial = 0

    def begin(self, method: str, bot_id: int | None) -> Call:
        self._serial += 1
        call = Call(self._serial, method, bot_id)
        self._calls.append(call)
        return call

    def delivered(self, updates: list[dict[str, Any]]) -> None:
        now = time.time()
        self._deliveries += [{"update_id": update["update_id"], "at": now} for update in updates]

    def clear(self) -> None:
        self._calls.clear()
        self._deliveries.clear()

    def record(self, method: str | None) -> dict[str, Any]:
        calls = [c.record() for c in self._calls if method is None or c.method.lower() == method.lower()]
        return {"calls": calls, "deliveries": self._deliveries}
