"""Converts TL bytes to Telethon's objects and back, including internals that Telethon does not expose.

Nothing of this comes from the project's own codec, so that codec is never checked against itself.
"""

from __future__ import annotations

import gzip
import inspect
import struct
import zlib
from typing import Any

from telethon.errors import TypeNotFoundError
from telethon.extensions import BinaryReader
from telethon.tl import functions, types
from telethon.tl.alltlobjects import LAYER
from telethon.tl.tlobject import TLObject, TLRequest

from .errors import RpcError, bad_request

__all__ = ["LAYER", "Raw", "TLObject", "TLRequest", "Written", "functions", "types"]

MSG_CONTAINER = 0x73F1F8DC
GZIP_PACKED = 0x3072CFA1
RPC_RESULT = 0xF35C6D01
MAX_UNPACKED_BYTES = 16 << 20
_BOOL = {True: 0x997275B5, False: 0xBC799737}
_VECTOR = 0x1CB5C415


class Raw:
    """Holds an object that is bytes already."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def _bytes(self) -> bytes:
        return self.data

    __bytes__ = _bytes

    def object(self) -> Any:
        return read(self.data)


class Written(bytes):
    """A result in bytes that is answered more than once, so that it is compressed only once."""

    _packed: bytes | None = None

    def packed(self) -> bytes:
        if self._packed is None:
            self._packed = pack_gzip(self)
        return self._packed


def constructor(body: bytes) -> int:
    return int.from_bytes(body[:4], "little") if len(body) >= 4 else 0


def read(body: bytes, *, exact: bool = True) -> Any:
    """The object in `body`, all of it unless `exact` is false."""
    reader = BinaryReader(body)
    try:
        value = reader.tgread_object()
    except TypeNotFoundError as error:
        raise bad_request(f"INPUT_CONSTRUCTOR_INVALID_{error.invalid_constructor_id:08X}") from error
    except (struct.error, BufferError, RuntimeError, ValueError, RecursionError, OverflowError) as error:
        raise bad_request("INPUT_FETCH_ERROR") from error
    if exact and reader.tell_position() != len(body):
        raise RpcError(400, "INPUT_REQUEST_TOO_LONG")
    return value


def read_call(body: bytes) -> TLRequest:
    value = read(body)
    if not isinstance(value, TLRequest):
        raise bad_request(f"INPUT_METHOD_INVALID_{constructor(body)}")
    return value


def write(value: Any) -> bytes:
    """Any result: an object, a Bool, a Vector of objects or integers, or bytes already written."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return struct.pack("<I", _BOOL[value])
    if isinstance(value, list):
        return struct.pack("<Ii", _VECTOR, len(value)) + b"".join(_item(item) for item in value)
    written: bytes = bytes(value)
    return written


def _item(value: Any) -> bytes:
    return struct.pack("<i", value) if isinstance(value, int) else bytes(value)


def unpack_gzip(body: bytes) -> bytes:
    """Return the content of a gzip_packed, up to a limit."""
    reader = BinaryReader(body)
    reader.read_int()
    engine = zlib.decompressobj(31)
    try:
        data = engine.decompress(reader.tgread_bytes(), MAX_UNPACKED_BYTES)
    except (zlib.error, struct.error, BufferError) as error:
        raise bad_request("INPUT_FETCH_ERROR") from error
    if not engine.eof:
        raise bad_request("INPUT_REQUEST_TOO_LONG" if engine.unconsumed_tail else "INPUT_FETCH_ERROR")
    return data


def pack_gzip(body: bytes) -> bytes:
    packed: bytes = TLObject.serialize_bytes(gzip.compress(body, 1))
    return struct.pack("<I", GZIP_PACKED) + packed


def rpc_result(req_msg_id: int, body: bytes) -> bytes:
    return struct.pack("<Iq", RPC_RESULT, req_msg_id) + body


def container(messages: list[tuple[int, int, bytes]]) -> bytes:
    """Returns a container of messages, each given as (msg_id, seqno, body)."""
    parts = [struct.pack("<Ii", MSG_CONTAINER, len(messages))]
    for msg_id, seqno, body in messages:
        parts += [struct.pack("<qii", msg_id, seqno, len(body)), body]
    return b"".join(parts)


def method_name(request: TLRequest) -> str:
    """Return the name as in the schema, for example `messages.sendMessage`."""
    kind = type(request)
    space = kind.__module__.removeprefix("telethon.tl.functions").strip(".")
    name = kind.__name__.removesuffix("Request")
    name = name[0].lower() + name[1:]
    return f"{space}.{name}" if space else name


def where_known(kind: type, **newer: Any) -> dict[str, Any]:
    """Those of the fields that this layer has: some came later than the oldest layer that the emulator can speak."""
    has = inspect.signature(kind).parameters
    return {name: value for name, value in newer.items() if name in has}


def build(value: Any) -> Any:
    """A TL object from JSON: `{"_": "updateUserTyping", …}`, bytes as `{"hex": "…"}`."""
    if isinstance(value, list):
        return [build(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "hex" in value:
        return bytes.fromhex(value["hex"])
    space: Any = types
    *path, name = str(value.get("_", "")).split(".")
    for step in path:
        space = getattr(space, step, None)
    kind = getattr(space, name[:1].upper() + name[1:], None)
    if kind is None:
        raise ValueError(f"there is no constructor {value.get('_')!r}")
    return kind(**{key: build(item) for key, item in value.items() if key != "_"})
