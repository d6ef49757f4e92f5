"""Obfuscated transports, as clients use them to hide from filters and to pass MTProxy servers."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import CipherContext

from .ciphers import ctr, sha256
from .errors import Violation
from .transport import BY_TAG, PADDED, Abridged, Framing, Full, PlainSource, Source

HEADER_BYTES = 64
_FORBIDDEN = (b"HEAD", b"POST", b"GET ", b"OPTI", b"\x16\x03\x01\x02")


class ObfuscatedSource:
    def __init__(self, reader: asyncio.StreamReader, cipher: CipherContext) -> None:
        self._reader, self._cipher = reader, cipher

    async def exactly(self, count: int) -> bytes:
        return self._cipher.update(await self._reader.readexactly(count))


@dataclass
class Opening:
    """Describes the beginning of a connection."""

    framing: Framing
    source: Source
    cipher: CipherContext | None = None
    """The cipher of the bytes that the server sends."""
    dc: int | None = None
    """The data centre that the header of an obfuscated connection names."""


async def open_connection(reader: asyncio.StreamReader, secret: bytes | None = None) -> Opening:
    """Detect the client's transport from its first bytes.

    - Parameter secret: of an MTProxy, which accepts obfuscated connections only.
    """
    first = await reader.readexactly(1)
    if first == b"\xef" and secret is None:
        return Opening(Abridged(), PlainSource(reader))
    head = first + await reader.readexactly(3)
    if head in BY_TAG and secret is None:
        return Opening(BY_TAG[head](), PlainSource(reader))
    head += await reader.readexactly(4)
    if head[4:] == bytes(4) and secret is None:
        return Opening(Full(), PlainSource(reader, head))
    if head[:4] in _FORBIDDEN or first == b"\xef" or head[:4] in BY_TAG or head[4:] == bytes(4):
        raise Violation("obfuscated: a header that begins like something else")
    return _obfuscated(reader, head + await reader.readexactly(HEADER_BYTES - 8), secret)


def _obfuscated(reader: asyncio.StreamReader, header: bytes, secret: bytes | None) -> Opening:
    reverse = header[8:56][::-1]
    incoming = ctr(_key(header[8:40], secret), header[40:56])
    outgoing = ctr(_key(reverse[:32], secret), reverse[32:])
    plain = incoming.update(header)
    tag = plain[56:60]
    if tag not in BY_TAG:
        raise Violation("obfuscated: no known transport behind it" + (" (or a wrong secret)" if secret else ""))
    if secret is not None and len(secret) == 17 and tag != PADDED:
        raise Violation("obfuscated: a secret that begins with dd demands padding")
    dc = struct.unpack("<h", plain[60:62])[0]
    return Opening(BY_TAG[tag](), ObfuscatedSource(reader, incoming), outgoing, dc)


def _key(key: bytes, secret: bytes | None) -> bytes:
    return key if secret is None else sha256(key, secret[-16:])
