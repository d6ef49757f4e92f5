"""Changes of a seeded history while somebody reads it: deletions, edits and new messages, at a rate."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..changes import Change
from .history import SeededChat

if TYPE_CHECKING:
    from ..account import Account
    from ..core import Core

TICK_SECONDS = 0.02
_TRIED = 200


@dataclass
class Churn:
    core: Core
    account: Account
    """One that sees the chat."""
    chat: SeededChat
    steps: int
    rate: float = 0.0
    """Steps a second; 0 for all of them at once."""
    seed: int = 1
    shares: dict[str, float] = field(default_factory=dict)
    """How likely each kind of step is."""
    done: dict[str, int] = field(default_factory=lambda: {"delete": 0, "edit": 0, "add": 0, "nothing": 0})
    task: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        return sum(self.done.values())

    @property
    def is_running(self) -> bool:
        return self.task is not None and not self.task.done()

    async def run(self) -> None:
        begun = time.monotonic()
        while self.count < self.steps:
            due = self.steps if not self.rate else min(int((time.monotonic() - begun) * self.rate), self.steps)
            while self.count < due:
                self._step(self.count)
                if self.count % 100 == 0:
                    await asyncio.sleep(0)
            if self.count < self.steps:
                await asyncio.sleep(TICK_SECONDS)

    def describe(self) -> dict[str, Any]:
        return {"chat_id": self.chat.id, "running": self.is_running, "steps": self.steps, "done": self.count} | self.done

    def _step(self, number: int) -> None:
        """Makes a change. Which one depends on the seed, its number and what there is by then."""
        chance = random.Random(f"{self.seed}/churn/{number}")
        kind = chance.choices(list(self.shares), list(self.shares.values()))[0]
        change = {"delete": self._delete, "edit": self._edit, "add": self._add}[kind](chance)
        self.done[kind if change is not None else "nothing"] += 1
        if change is not None:
            self.core.directory.publish(self.account, change)

    def _some(self, chance: random.Random) -> int | None:
        chat = self.chat
        wanted = chance.randint(chat.script.first, max(chat.end - 1, chat.script.first))
        return next(chat.alive.below(wanted + 1), None) or next(chat.alive.above(wanted), None)

    def _delete(self, chance: random.Random) -> Change | None:
        identity = self._some(chance)
        if identity is None:
            return None
        self.chat.delete(self.chat.messages[identity])
        return Change("delete", self.chat.id, [identity])

    def _edit(self, chance: random.Random) -> Change | None:
        workshop = self.chat.workshop(self.account)
        for _ in range(_TRIED):
            identity = self._some(chance)
            if identity is None:
                return None
            if self.chat.written(identity) is None and self.chat.is_editable(workshop, identity):
                self.chat.edit(identity, int(self.core.clock.now()))
                return Change("edit", self.chat.id, [identity])
        return None

    def _add(self, chance: random.Random) -> Change:
        identity = self.account.next_message_id(self.chat)
        self.chat.exist(identity)
        return Change("new", self.chat.id, [identity])
