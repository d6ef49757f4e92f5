"""The server's idea of the time, which a test may move."""

from __future__ import annotations

import time


class Clock:
    def __init__(self) -> None:
        self.skew = 0.0
        """Seconds that the server is ahead of the machine."""
        self._last_msg_id = 0

    def now(self) -> float:
        return time.time() + self.skew

    def msg_id(self, kind: int) -> int:
        """A new message id: `kind` is 1 for an answer, 3 for anything else. They only ever grow."""
        at = int(self.now() * (1 << 32)) & ~3
        self._last_msg_id = max(at, self._last_msg_id + 4)
        if self._last_msg_id - at > 60 << 32:  # the clock was set back
            self._last_msg_id = at
        return self._last_msg_id | kind
