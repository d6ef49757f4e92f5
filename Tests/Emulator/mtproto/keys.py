"""Authorisation keys, permanent and temporary, with their salts and permissions."""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .ciphers import key_id, sha1
from .clock import Clock

if TYPE_CHECKING:
    from .account import Account
    from .session import Session

SALT_SECONDS = 1800
SALT_OVERLAP_SECONDS = 300
MAX_FUTURE_SALTS = 64


def random_long() -> int:
    return int(struct.unpack("<q", secrets.token_bytes(8))[0])


class Salts:
    """Each is valid for half an hour, and for five minutes more."""

    def __init__(self, clock: Clock, first: int) -> None:
        self._clock = clock
        self._rows = [(clock.now(), first)]

    def current(self) -> int:
        self._extend(1)
        return self._rows[0][1]

    def accepts(self, salt: int) -> bool:
        self._extend(1)
        if salt == self._rows[0][1]:
            return True
        previous = self._previous
        return previous is not None and salt == previous[1] and self._clock.now() < previous[0]

    def future(self, count: int) -> list[tuple[int, int, int]]:
        """(valid since, valid until, salt)."""
        count = min(max(count, 1), MAX_FUTURE_SALTS)
        self._extend(count)
        return [
            (int(since), int(since + SALT_SECONDS + SALT_OVERLAP_SECONDS), salt) for since, salt in self._rows[:count]
        ]

    def replace(self) -> None:
        """Refuse every salt handed out so far."""
        self._previous = None
        self._rows = [(self._clock.now(), random_long())]

    _previous: tuple[float, int] | None = None

    def _extend(self, count: int) -> None:
        now = self._clock.now()
        if not self._rows[0][0] - SALT_SECONDS <= now < self._rows[-1][0] + 2 * SALT_SECONDS:
            self._previous = None
            self._rows = [(now, random_long())]
        while True:
            while len(self._rows) < max(count, 2):
                self._rows.append((self._rows[-1][0] + SALT_SECONDS, random_long()))
            if now < self._rows[1][0]:
                return
            since, salt = self._rows.pop(0)
            self._previous = (since + SALT_SECONDS + SALT_OVERLAP_SECONDS, salt)


@dataclass
class Client:
    """Holds the data that initConnection sent."""

    layer: int
    api_id: int
    device_model: str
    app_version: str
    at: float


@dataclass
class AuthKey:
    data: bytes
    dc_id: int
    salts: Salts
    created_at: float
    expires_at: float | None = None
    """The end of a temporary key's life; None for a permanent key."""
    permanent: AuthKey | None = None
    """The permanent key that a temporary key is bound to."""
    is_cdn: bool = False
    account: Account | None = None
    client: Client | None = None
    layer: int | None = None
    refusal: str | None = None
    """The error that every call gets, once the authorization was revoked or the account banned."""
    awaiting_password: Account | None = None
    srp: dict[int, Any] = field(default_factory=dict)
    sessions: dict[int, Session] = field(default_factory=dict)
    takeouts: set[int] = field(default_factory=set)
    login_token: bytes | None = None
    identity: int = field(default_factory=random_long)
    """The `hash` in account.getAuthorizations."""

    def __post_init__(self) -> None:
        self.id = key_id(self.data)
        self.aux_hash = sha1(self.data)[:8]

    @property
    def owner(self) -> AuthKey:
        """The key that holds the authorization."""
        return self.permanent or self

    def sign_out(self, refusal: str | None = None) -> None:
        self.account, self.awaiting_password, self.refusal = None, None, refusal


class KeyStore:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keys: dict[int, AuthKey] = {}

    def add(self, key: AuthKey) -> None:
        self._keys[key.id] = key

    def find(self, identity: int, dc_id: int) -> AuthKey | None:
        """A key is known where it was made, and a temporary one only until it expires."""
        key = self._keys.get(identity)
        if key is None or key.dc_id != dc_id:
            return None
        if key.expires_at is not None and key.expires_at < self._clock.now():
            self.remove(key)
            return None
        return key

    def knows(self, aux_hash: bytes) -> bool:
        return any(key.aux_hash == aux_hash for key in self._keys.values())

    def remove(self, key: AuthKey) -> None:
        self._keys.pop(key.id, None)
        for session in list(key.sessions.values()):
            session.close()
        for other in list(self._keys.values()):
            if other.permanent is key:
                self.remove(other)

    def all(self) -> list[AuthKey]:
        return list(self._keys.values())

    def of(self, account: Account) -> list[AuthKey]:
        """Every key that acts for this account, temporary ones included."""
        return [key for key in self._keys.values() if key.owner.account is account]

    def sessions_of(self, account: Account) -> list[Session]:
        return [session for key in self.of(account) for session in key.sessions.values()]
