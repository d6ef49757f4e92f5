"""Telegram's published limits on messages sent; approximations, as the real ones are not published in full."""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque

from .errors import too_many_requests

PER_BOT = (30, 1.0)
PER_GROUP = (20, 60.0)
CHAT_BURST = 3
CHAT_PER_SECOND = 1.0


class _Window:
    """Allows at most `count` events in any `seconds`."""

    def __init__(self, count: int, seconds: float) -> None:
        self._count = count
        self._seconds = seconds
        self._times: deque[float] = deque()

    def wait(self, now: float) -> float:
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        return self._times[0] + self._seconds - now if len(self._times) >= self._count else 0.0

    def take(self, now: float) -> None:
        self._times.append(now)


class _Bucket:
    """Allows one event a second, and saves up a few."""

    def __init__(self) -> None:
        self._tokens = float(CHAT_BURST)
        self._at = 0.0

    def wait(self, now: float) -> float:
        self._tokens = min(CHAT_BURST, self._tokens + (now - self._at) * CHAT_PER_SECOND)
        self._at = now
        return 0.0 if self._tokens >= 1 else (1 - self._tokens) / CHAT_PER_SECOND

    def take(self, now: float) -> None:
        self._tokens -= 1


class RateLimits:
    def __init__(self, enforced: bool) -> None:
        self.enforced = enforced
        self._bots: dict[int, _Window] = defaultdict(lambda: _Window(*PER_BOT))
        self._groups: dict[tuple[int, int], _Window] = defaultdict(lambda: _Window(*PER_GROUP))
        self._chats: dict[tuple[int, int], _Bucket] = defaultdict(_Bucket)

    def check(self, bot_id: int, chat_id: int) -> None:
        """Count one message, or refuse it with 429; a refused one does not count."""
        if not self.enforced:
            return
        now = time.monotonic()
        limits: list[_Window | _Bucket] = [self._bots[bot_id], self._chats[bot_id, chat_id]]
        if chat_id < 0:
            limits.append(self._groups[bot_id, chat_id])
        wait = max(limit.wait(now) for limit in limits)
        if wait > 0:
            raise too_many_requests(max(1, math.ceil(wait)))
        for limit in limits:
            limit.take(now)
