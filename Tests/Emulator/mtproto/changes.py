"""The numbered changes (pts) of one account or one channel."""

from __future__ import annotations

import bisect
import time
from dataclasses import dataclass, field


@dataclass
class Change:
    kind: str
    """new, edit, delete, read_inbox, read_outbox, reactions"""
    chat_id: int
    message_ids: list[int]
    random_id: int | None = None
    sender: int | None = None
    """The account that sent it, with `random_id`."""
    pts: int = 0
    pts_count: int = 0
    at: float = field(default_factory=time.time)
    max_id: int = 0

    @property
    def is_numbered(self) -> bool:
        return self.kind != "reactions"


class ChangeLog:
    def __init__(self, pts: int = 0) -> None:
        self.pts = pts
        self.oldest_pts = pts
        """Nothing is known about changes up to here."""
        self._last_at = 0.0
        self._changes: list[Change] = []

    def add(self, change: Change) -> Change:
        if change.is_numbered:
            change.pts_count = max(len(change.message_ids), 1)
            self.pts += change.pts_count
        change.pts = self.pts
        if change.is_numbered:
            self._changes.append(change)
            self._last_at = change.at
        return change

    def since(self, pts: int) -> list[Change]:
        place = bisect.bisect_right(self._changes, pts, key=lambda change: change.pts)
        return self._changes[place:]

    def last_at(self) -> float:
        """Return the time of the last change, which is kept longer than the change itself."""
        return self._last_at

    def forget(self) -> None:
        """Forget all changes, so that a request for them returns differenceTooLong."""
        self._changes.clear()
        self.oldest_pts = self.pts
