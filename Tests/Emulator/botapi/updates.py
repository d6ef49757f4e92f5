"""A bot's queue of updates, with the offset rules of getUpdates."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Any

from .errors import conflict

KEPT_SECONDS = 24 * 3600
MAX_LIMIT = 100
MAX_TIMEOUT_SECONDS = 50
# The server ignores an offset this far beyond the next update's id and reads from the head instead.
MAX_OFFSET_AHEAD = 10
# These arrive only when a bot asks for them by name.
OPT_IN_TYPES = frozenset({"chat_member", "message_reaction", "message_reaction_count"})

OTHER_POLLER = "terminated by other getUpdates request; make sure that only one bot instance is running"
WEBHOOK_SET = "terminated by setWebhook request"
WEBHOOK_ACTIVE = (
    "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)


@dataclass(frozen=True)
class QueuedUpdate:
    update_id: int
    body: dict[str, Any]
    expires_at: float


class UpdateQueue:
    def __init__(self) -> None:
        self.next_id = random.randrange(100_000_000, 900_000_000)
        self.confirmed_to = self.next_id
        """All updates below this id are confirmed."""
        self.allowed: frozenset[str] | None = None
        self._updates: list[QueuedUpdate] = []
        self._poll: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        self._forget_expired()
        return len(self._updates)

    def allows(self, kind: str) -> bool:
        return kind in self.allowed if self.allowed is not None else kind not in OPT_IN_TYPES

    def push(self, body: dict[str, Any]) -> int | None:
        """Queue an update and return its id, or None if the bot did not ask for its type.

        The type counts when the update is made: a later change of allowed_updates does not touch queued ones.
        """
        kind = next(iter(body))
        if not self.allows(kind):
            return None
        update_id = self.next_id
        self.next_id += 1
        self._updates.append(QueuedUpdate(update_id, {"update_id": update_id} | body, time.time() + KEPT_SECONDS))
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)
        return update_id

    def set_allowed(self, types: list[str]) -> None:
        """An empty list means the default again."""
        self.allowed = frozenset(types) if types else None

    def drop_all(self) -> None:
        self._confirm(self.next_id)

    def interrupt(self, reason: str) -> None:
        """End the long poll under way, if there is one, with a conflict."""
        if self._poll is not None and not self._poll.done():
            self._poll.set_exception(conflict(reason))
        self._poll = None

    async def get(self, offset: int, limit: int, timeout: int) -> list[dict[str, Any]]:
        # The newer of two polls wins; the older one learns that it lost.
        self.interrupt(OTHER_POLLER)
        offset = self._apply_offset(offset)
        limit = min(max(limit, 1), MAX_LIMIT)
        timeout = min(max(timeout, 0), MAX_TIMEOUT_SECONDS)
        if not len(self) and timeout:
            await self._wait(timeout)
        self._forget_expired()
        return [update.body for update in self._updates if update.update_id >= offset][:limit]

    async def _wait(self, timeout: int) -> None:
        poll: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._poll = poll
        try:
            await asyncio.wait_for(poll, timeout)
        except TimeoutError:
            pass
        finally:
            if self._poll is poll:
                self._poll = None

    def _apply_offset(self, offset: int) -> int:
        if offset > self.next_id + MAX_OFFSET_AHEAD:
            return 0
        if offset < 0:
            # Counted from the end of the queue; what comes before is forgotten.
            pending = len(self)
            offset = self.next_id if not pending else self._updates[max(pending + offset, 0)].update_id
        self._confirm(offset)
        return offset

    def _confirm(self, offset: int) -> None:
        offset = min(offset, self.next_id)
        self.confirmed_to = max(self.confirmed_to, offset)
        self._updates = [update for update in self._updates if update.update_id >= offset]

    def _forget_expired(self) -> None:
        now = time.time()
        if self._updates and self._updates[0].expires_at <= now:
            self._updates = [update for update in self._updates if update.expires_at > now]
