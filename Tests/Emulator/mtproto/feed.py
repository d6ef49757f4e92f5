"""Live updates: the sessions that receive a change, its form, and the losses on request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import render
from .account import SHARED, Account
from .changes import Change
from .peers import Cast
from .tl import types

if TYPE_CHECKING:
    from .core import Core
    from .session import Session


@dataclass
class Held:
    """The updates of an account that wait for their release: encoded, except the last few."""

    together: int
    """How many updates are in one message."""
    ready: list[tuple[list[Change], bytes]] = field(default_factory=list)
    latest: list[Change] = field(default_factory=list)


class Feed:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._held: dict[int, Held] = {}

    def hold(self, account: Account, together: int) -> None:
        """Encode the account's updates from now on, but send none before `release`."""
        self._held[account.id] = Held(together)

    def release(self, account: Account) -> int:
        """Send all held updates at once, whoever caused them. Return their number."""
        held = self._held.pop(account.id, None)
        if held is None:
            return 0
        self._encode(account, held)
        sessions = self._listeners(account, None)
        for changes, body in held.ready:
            if self._deliver(sessions, body):
                self._core.journal.delivered(account.id, changes, "live")
        return sum(len(changes) for changes, _ in held.ready)

    def _encode(self, account: Account, held: Held) -> None:
        if held.latest:
            cast = Cast(account)
            items = [render.change(account, account.chats[change.chat_id], change, cast) for change in held.latest]
            held.ready.append((held.latest, bytes(render.updates(account, items, cast, self._core.clock.now()))))
            held.latest = []

    def unacknowledged(self, account: Account) -> int:
        sessions = [session for session in self._core.keys.sessions_of(account) if session.is_main]
        return sum(message.answers is None for session in sessions for message in session.unacked.values())

    def push(self, account: Account, change: Change, origin: Session | None) -> None:
        held = self._held.get(account.id)
        if held is not None:
            held.latest.append(change)
            if len(held.latest) >= held.together:
                self._encode(account, held)
            return
        sessions = self._listeners(account, origin)
        if sessions and self._deliver(sessions, bytes(self._update(account, change))):
            self._core.journal.delivered(account.id, [change], "live")

    def push_other(self, account: Account, update: Any, *, seq: bool = False) -> None:
        """An update without pts: alone, or with the next number of the account's sequence."""
        cast = Cast(account)
        if seq:
            account.seq += 1
            body = bytes(render.updates(account, [update], cast, self._core.clock.now(), seq=account.seq))
        else:
            body = bytes(types.UpdateShort(update, int(self._core.clock.now())))
        self._deliver(self._listeners(account, None), body)

    def push_too_long(self, account: Account) -> None:
        self._deliver(self._listeners(account, None), bytes(types.UpdatesTooLong()))

    def _listeners(self, account: Account, origin: Session | None) -> list[Session]:
        sessions = self._core.keys.sessions_of(account)
        return [session for session in sessions if session.is_main and session is not origin]

    def _update(self, account: Account, change: Change) -> Any:
        chat = account.chats[change.chat_id]
        if self._core.modes.habits.short_updates:
            short = render.short(account, chat, change)
            if short is not None:
                return short
        cast = Cast(account)
        update = render.change(account, chat, change, cast)
        is_min = self._core.modes.habits.min_users and chat.type in SHARED
        return render.updates(account, [update], cast, self._core.clock.now(), is_min=is_min)

    def _deliver(self, sessions: list[Session], body: bytes) -> bool:
        """Whether any of them is there; one that is not will ask for the difference."""
        habits = self._core.modes.habits
        if not sessions or habits.take("drop_updates"):
            return False
        present = [session for session in sessions if session.is_connected]
        for session in present:
            if habits.reorder_updates and not session.held:
                session.held.append(body)
                continue
            session.send(body)
            for late in session.held:
                session.send(late)
            session.held.clear()
        return bool(present)
