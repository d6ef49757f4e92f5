"""The second factor: the server's side of SRP in Telegram's variant."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from .ciphers import DH_GENERATOR, DH_PRIME, big_endian, sha256
from .errors import bad_request
from .tl import types

_ITERATIONS = 100_000


def _padded(number: int) -> bytes:
    return big_endian(number, 256)


def _salted(salt: bytes, data: bytes) -> bytes:
    return sha256(salt, data, salt)


@dataclass
class Verifier:
    """Holds the server's data about a password."""

    salt1: bytes
    salt2: bytes
    v: int

    @classmethod
    def of(cls, password: str) -> Verifier:
        salt1, salt2 = secrets.token_bytes(40), secrets.token_bytes(16)
        inner = _salted(salt2, _salted(salt1, password.encode()))
        slow = hashlib.pbkdf2_hmac("sha512", inner, salt1, _ITERATIONS)
        x = int.from_bytes(_salted(salt2, slow), "big")
        return cls(salt1, salt2, pow(DH_GENERATOR, x, DH_PRIME))

    @property
    def algorithm(self) -> Any:
        return types.PasswordKdfAlgoSHA256SHA256PBKDF2HMACSHA512iter100000SHA256ModPow(
            self.salt1, self.salt2, DH_GENERATOR, _padded(DH_PRIME)
        )


@dataclass
class Challenge:
    """One attempt: its B, and the secret behind it."""

    verifier: Verifier
    b: int
    public: int

    @classmethod
    def make(cls, verifier: Verifier) -> Challenge:
        k = int.from_bytes(sha256(_padded(DH_PRIME), _padded(DH_GENERATOR)), "big")
        b = secrets.randbits(2048)
        return cls(verifier, b, (k * verifier.v + pow(DH_GENERATOR, b, DH_PRIME)) % DH_PRIME)

    def check(self, a_bytes: bytes, m1: bytes) -> None:
        """- Raises RpcError: a wrong password, or numbers out of range."""
        a = int.from_bytes(a_bytes, "big")
        if len(a_bytes) != 256 or not 1 < a < DH_PRIME - 1:
            raise bad_request("SRP_A_INVALID")
        u = int.from_bytes(sha256(a_bytes, _padded(self.public)), "big")
        shared = pow(a * pow(self.verifier.v, u, DH_PRIME), self.b, DH_PRIME)
        mixed = bytes(x ^ y for x, y in zip(sha256(_padded(DH_PRIME)), sha256(_padded(DH_GENERATOR)), strict=True))
        right = sha256(
            mixed, sha256(self.verifier.salt1), sha256(self.verifier.salt2), a_bytes, _padded(self.public),
            sha256(_padded(shared)),
        )  # fmt: skip
        if m1 != right:
            raise bad_request("PASSWORD_HASH_INVALID")
