"""Refusals that tell a time to wait, and who did not wait."""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass, field
from typing import Any

from .clock import Clock
from .errors import RpcError

_WAIT = re.compile(r"(?:FLOOD_WAIT|FLOOD_PREMIUM_WAIT|SLOWMODE_WAIT|TAKEOUT_INIT_DELAY)_(\d+)\Z")
# Usual figures of clients' users, for 30 s of one account; names for a day.
PRESETS: dict[str, list[tuple[str, int, float, int | None]]] = {
    "telegram": [
        ("messages.getHistory", 30, 30, None), ("messages.getReplies", 30, 30, None), ("messages.search", 30, 30, None),
        ("channels.getMessages", 4, 30, None), ("messages.getMessages", 4, 30, None),
        ("contacts.resolveUsername", 200, 86_400, 55_000),
    ],
}  # fmt: skip


@dataclass
class Record:
    """What happened between one account and one method."""

    calls: int = 0
    refusals: int = 0
    """Answers that told a time to wait."""
    told_seconds: int = 0
    early_calls: int = 0
    """Calls that a client sent after it could know of the wait, and before the wait was over."""
    crossing_calls: int = 0
    """Calls that a client sent before the refusal was on its way, and that arrived after it."""
    until: float = 0.0
    told_at: float = 0.0


class Ledger:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: dict[tuple[int, str], Record] = {}

    def called(self, account: int, method: str, msg_id: int) -> None:
        """- Parameter msg_id: the client's, which tells when the call was made."""
        record = self._records.setdefault((account, method), Record())
        record.calls += 1
        if self._clock.now() >= record.until:
            return
        if msg_id / (1 << 32) <= record.told_at:
            record.crossing_calls += 1
        else:
            record.early_calls += 1

    def refused(self, account: int, method: str, text: str) -> None:
        match = _WAIT.match(text)
        if match is None:
            return
        record = self._records.setdefault((account, method), Record())
        now, seconds = self._clock.now(), int(match[1])
        record.refusals += 1
        record.told_seconds += seconds
        if now + seconds > record.until:
            record.until, record.told_at = now + seconds, now

    def clear(self) -> None:
        self._records.clear()

    def report(self, account: int | None, method: str | None) -> dict[str, Any]:
        rows: list[dict[str, Any]] = [
            {"account": who, "method": what} | vars(record)
            for (who, what), record in self._records.items()
            if account in (None, who) and method in (None, what)
        ]
        sums = {name: sum(row[name] for row in rows) for name in ("calls", "refusals", "early_calls", "crossing_calls")}
        return sums | {"records": rows}


@dataclass
class RandomFloods:
    """Refuses some calls of each account with FLOOD_WAIT, and all others of that method until the time is over."""

    methods: list[str]
    share: float = 0.0
    """Of the calls that are not refused for an earlier one."""
    every: int = 0
    """Refuse each n-th call instead."""
    shortest: int = 1
    longest: int = 3
    seed: int = 1
    accounts: list[int] | None = None
    _calls: dict[tuple[int, str], int] = field(default_factory=dict)
    _until: dict[tuple[int, str], float] = field(default_factory=dict)

    def check(self, account: int, method: str) -> None:
        if method not in self.methods or (self.accounts is not None and account not in self.accounts):
            return
        key, now = (account, method), time.time()
        rest = self._until.get(key, 0) - now
        if rest > 0:
            raise RpcError(420, f"FLOOD_WAIT_{max(int(rest + 0.999), 1)}")
        count = self._calls[key] = self._calls.get(key, 0) + 1
        chance = random.Random(f"{self.seed}/{account}/{method}/{count}")
        if chance.random() < self.share or (self.every and count % self.every == 0):
            seconds = chance.randint(self.shortest, self.longest)
            self._until[key] = now + seconds
            raise RpcError(420, f"FLOOD_WAIT_{seconds}")
