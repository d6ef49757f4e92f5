"""Values that a careful client refuses: parameters of the key exchange and messages that break a rule."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from .ciphers import big_endian, is_prime
from .modes import Modes
from .tl import TLObject


def _prime_of(bits: int) -> int:
    """A prime; that it is a safe one can be left to luck."""
    return rsa.generate_private_key(65537, 2 * bits).private_numbers().p


def spoil_dh(modes: Modes, prime: int, generator: int, secret: int) -> tuple[int, int, int]:
    """Return the prime, the generator and g_a, one of which may be wrong on request."""
    if modes.is_hostile("dh_composite"):
        prime -= 2
        while is_prime(prime, 2):
            prime -= 2
    elif modes.is_hostile("dh_unsafe_prime"):
        prime = _prime_of(2048)
    elif modes.is_hostile("dh_small_prime"):
        prime = _prime_of(1024)
    elif modes.is_hostile("dh_generator"):
        generator = 2  # of no use with this prime, which is 3 modulo 8
    elif modes.is_hostile("dh_generator_one"):
        generator = 1
    g_a = pow(generator, secret, prime)
    edges = {"g_a_zero": 0, "g_a_one": 1, "g_a_minus_one": prime - 1, "g_a_small": (1 << 1983) + 7,
             "g_a_large": prime - (1 << 1983) + 7}  # fmt: skip
    kind = modes.is_hostile(*edges)
    return prime, generator, edges[kind] if kind else g_a


def spoil_inner(modes: Modes, inner: Any) -> bytes:
    if modes.is_hostile("dh_inner_nonce"):
        inner.nonce ^= 1
    elif modes.is_hostile("dh_inner_server_nonce"):
        inner.server_nonce ^= 1
    written: bytes = bytes(inner)
    if len(big_endian(int.from_bytes(inner.dh_prime, "big"))) < len(inner.dh_prime):
        # A small prime is written as short as it is.
        inner.dh_prime, inner.g_a = inner.dh_prime.lstrip(b"\0"), inner.g_a.lstrip(b"\0")
        written = bytes(inner)
    return written


def spoil_body(kind: str, body: bytes, req_msg_id: int) -> bytes:
    """Returns bytes that cannot be read, in place of the answer `body`."""
    head = struct.pack("<Iq", 0xF35C6D01, req_msg_id)
    if kind == "truncated_result":
        return body[: max(len(body) // 8 * 4, 16)]
    if kind == "unknown_constructor":
        return head + struct.pack("<I", 0xDEADBEEF) + bytes(16)
    if kind == "container_count":
        return struct.pack("<Ii", 0x73F1F8DC, 0x7FFFFFFF) + bytes(16)
    if kind == "container_length":
        return struct.pack("<IiqiI", 0x73F1F8DC, 1, req_msg_id | 1, 1, 0x7FFFFFF0) + bytes(16)
    packed: bytes = TLObject.serialize_bytes(_bomb() if kind == "gzip_bomb" else b"\x1f\x8b\x08" + bytes(40))
    return head + struct.pack("<I", 0x3072CFA1) + packed


def _bomb(megabytes: int = 64) -> bytes:
    engine = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1 << 20)
    return b"".join(engine.compress(zeros) for _ in range(megabytes)) + engine.flush()
