"""Live updates: the sessions that receive a change, its form, and the losses on request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import render
from .account import SHARED, Account
from .changes import Change
from .peers import Cast
from .tl import types

if TYPE_CHECKING:
    from .core import Core
    from .session import Session


class Feed:
    def __init__(self, core: Core) -> None:
        self._core = core

    def unacknowledged(self, account: Account) -> int:
        sessions = [session for session in self._core.keys.sessions_of(account) if session.is_main]
        return sum(message.answers is None for session in sessions for message in session.unacked.values())

    def push(self, account: Account, change: Change, origin: Session | None) -> None:
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
