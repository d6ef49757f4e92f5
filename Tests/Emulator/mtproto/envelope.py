"""One encrypted message of MTProto 2.0, checked to the last byte when it arrives, spoilt on request when it leaves."""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass

from .ciphers import derive, ige_decrypt, ige_encrypt, msg_key_large
from .errors import Violation
from .keys import AuthKey, random_long

MIN_PADDING, MAX_PADDING = 12, 1024
STALE_SECONDS, FUTURE_SECONDS = 400, 90


@dataclass
class Received:
    salt: int
    session_id: int
    msg_id: int
    seqno: int
    body: bytes
    quick_ack: int
    """The token by which this packet is acknowledged quickly."""


def open_packet(key: AuthKey, packet: bytes) -> Received:
    """Raise Violation if msg_key, padding or length is wrong."""
    msg_key, encrypted = packet[8:24], packet[24:]
    if len(encrypted) < 48 or len(encrypted) % 16:
        raise Violation("an encrypted part that is too short, or no whole number of blocks")
    plain = ige_decrypt(encrypted, *derive(key.data, msg_key, from_client=True))
    digest = msg_key_large(key.data, plain, from_client=True)
    if digest[8:24] != msg_key:
        raise Violation("msg_key is not that of the decrypted data")
    salt, session_id, msg_id, seqno, length = struct.unpack_from("<qqqii", plain)
    padding = len(plain) - 32 - length
    if length < 4 or length % 4:
        raise Violation(f"a message of {length} bytes")
    if not MIN_PADDING <= padding <= MAX_PADDING:
        raise Violation(f"{padding} bytes of padding, which must be 12 to 1024")
    token = struct.unpack_from("<I", digest)[0] | 0x80000000
    return Received(salt, session_id, msg_id, seqno, plain[32 : 32 + length], token)


def seal(key: AuthKey, session_id: int, msg_id: int, seqno: int, body: bytes, spoilt: str | None = None) -> bytes:
    if spoilt == "session_id":
        session_id = random_long()
    elif spoilt == "msg_id_parity":
        msg_id &= ~3
    elif spoilt == "msg_id_stale":
        msg_id -= STALE_SECONDS << 32
    elif spoilt == "msg_id_future":
        msg_id += FUTURE_SECONDS << 32
    length = {"length_beyond": len(body) + 4096, "length_negative": -4, "length_unaligned": len(body) - 2}.get(
        spoilt or "", len(body)
    )
    head = struct.pack("<qqqii", key.salts.current(), session_id, msg_id, seqno, length)
    plain = b"".join((head, body, secrets.token_bytes(_padding(len(head) + len(body), spoilt))))
    msg_key = msg_key_large(key.data, plain, from_client=False)[8:24]
    if spoilt == "msg_key":
        msg_key = bytes([msg_key[0] ^ 1]) + msg_key[1:]
    encrypted = ige_encrypt(plain, *derive(key.data, msg_key, from_client=False))
    if spoilt == "ciphertext":
        middle = len(encrypted) // 2
        encrypted = encrypted[:middle] + bytes([encrypted[middle] ^ 0x40]) + encrypted[middle + 1 :]
    identity = key.id ^ 1 if spoilt == "auth_key_id" else key.id
    return b"".join((struct.pack("<q", identity), msg_key, encrypted))


def _padding(length: int, spoilt: str | None) -> int:
    if spoilt == "short_padding":
        # Below 12; the body is a multiple of 4, so the blocks come out even.
        return -length % 16 if -length % 16 < MIN_PADDING else 0
    shortest = MIN_PADDING + -(length + MIN_PADDING) % 16
    if spoilt == "long_padding":
        return shortest + 1024
    # A little more than needed, as real servers do.
    return shortest + 16 * secrets.randbelow(4)
