"""Frames messages on a connection: abridged, intermediate, padded intermediate and full."""

from __future__ import annotations

import asyncio
import secrets
import struct
import zlib
from typing import Protocol

from .errors import Violation

MAX_FRAME_BYTES = 4 << 20
ABRIDGED, INTERMEDIATE, PADDED = b"\xef" * 4, b"\xee" * 4, b"\xdd" * 4
QUICK_ACK_BIT = 0x80000000


class Source(Protocol):
    async def exactly(self, count: int) -> bytes:
        """The next bytes. Raises IncompleteReadError at the end."""


class PlainSource:
    def __init__(self, reader: asyncio.StreamReader, head: bytes = b"") -> None:
        self._reader, self._head = reader, head

    async def exactly(self, count: int) -> bytes:
        if not self._head:
            return await self._reader.readexactly(count)
        taken, self._head = self._head[:count], self._head[count:]
        return taken + (await self._reader.readexactly(count - len(taken)) if len(taken) < count else b"")


class Framing:
    """Frames of one connection. `receive` gives a payload and whether a quick acknowledgement is wanted."""

    name = ""

    async def receive(self, source: Source) -> tuple[bytes, bool]:
        raise NotImplementedError

    def frame(self, payload: bytes) -> bytes:
        raise NotImplementedError

    def quick_ack(self, token: int) -> bytes:
        return struct.pack("<I", token)


def _checked(length: int) -> int:
    if not 0 < length <= MAX_FRAME_BYTES:
        raise Violation(f"a frame of {length} bytes")
    return length


class Abridged(Framing):
    name = "abridged"

    async def receive(self, source: Source) -> tuple[bytes, bool]:
        first = (await source.exactly(1))[0]
        words = first & 0x7F
        if words == 0x7F:
            words = int.from_bytes(await source.exactly(3), "little")
            if words < 0x7F:
                raise Violation("abridged: a long length where a short one would do")
        return await source.exactly(_checked(words * 4)), bool(first & 0x80)

    def frame(self, payload: bytes) -> bytes:
        words = len(payload) // 4
        head = bytes([words]) if words < 0x7F else b"\x7f" + words.to_bytes(3, "little")
        return head + payload

    def quick_ack(self, token: int) -> bytes:
        return struct.pack(">I", token)


class Intermediate(Framing):
    name = "intermediate"

    async def receive(self, source: Source) -> tuple[bytes, bool]:
        length = struct.unpack("<I", await source.exactly(4))[0]
        payload = await source.exactly(_checked(length & ~QUICK_ACK_BIT))
        if len(payload) % 4:
            raise Violation("intermediate: a length that is no multiple of 4")
        return payload, bool(length & QUICK_ACK_BIT)

    def frame(self, payload: bytes) -> bytes:
        return struct.pack("<I", len(payload)) + payload


class PaddedIntermediate(Framing):
    name = "padded"

    async def receive(self, source: Source) -> tuple[bytes, bool]:
        length = struct.unpack("<I", await source.exactly(4))[0]
        payload = await source.exactly(_checked(length & ~QUICK_ACK_BIT))
        return _without_padding(payload), bool(length & QUICK_ACK_BIT)

    def frame(self, payload: bytes) -> bytes:
        # A transport error is told by its four bytes.
        padding = secrets.token_bytes(secrets.randbelow(16)) if len(payload) > 4 else b""
        return struct.pack("<I", len(payload) + len(padding)) + payload + padding


def _without_padding(payload: bytes) -> bytes:
    if payload[:8] == bytes(8):
        length = 20 + int.from_bytes(payload[16:20], "little")
    else:
        length = len(payload) - (len(payload) - 24) % 16
    if not 0 <= len(payload) - length < 16:
        raise Violation("padded intermediate: more than 15 bytes of padding")
    return payload[:length]


class Full(Framing):
    name = "full"

    def __init__(self) -> None:
        self._received = self._sent = 0

    async def receive(self, source: Source) -> tuple[bytes, bool]:
        head = await source.exactly(8)
        length, number = struct.unpack("<Ii", head)
        rest = await source.exactly(_checked(length - 8))
        if length % 4 or length < 16:
            raise Violation("full: a length that is no multiple of 4, or too small")
        if zlib.crc32(head + rest[:-4]) != struct.unpack("<I", rest[-4:])[0]:
            raise Violation("full: the checksum is wrong")
        if number != self._received:
            raise Violation(f"full: packet {number} where {self._received} was expected")
        self._received += 1
        return rest[:-4], False

    def frame(self, payload: bytes) -> bytes:
        head = struct.pack("<Ii", len(payload) + 12, self._sent)
        self._sent += 1
        return head + payload + struct.pack("<I", zlib.crc32(head + payload))

    def quick_ack(self, token: int) -> bytes:
        raise Violation("full: there are no quick acknowledgements")


BY_TAG: dict[bytes, type[Framing]] = {
    ABRIDGED: Abridged, INTERMEDIATE: Intermediate, PADDED: PaddedIntermediate,
}  # fmt: skip
