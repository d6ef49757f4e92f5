"""Records the requests to the site and how many bytes of each response were sent."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Visit:
    method: str
    path: str
    range: str | None
    user_agent: str | None = None
    cookie: str | None = None
    status: int | None = None
    bytes_sent: int = 0
    """The number of bytes of the body that were handed to the operating system."""
    started_at: float = field(default_factory=time.time)
    ended_at: float | None = None

    def end(self) -> None:
        self.ended_at = time.time()

    def record(self) -> dict[str, Any]:
        return dict(vars(self))
