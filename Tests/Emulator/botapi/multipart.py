"""multipart/form-data (RFC 7578) as a state machine: bytes in, events out, no I/O.

Stricter than most servers on purpose: no preamble, no epilogue, no padding after a boundary, every part named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import unquote

MAX_HEADER_BYTES = 8192
_PARAMETER = re.compile(r';\s*([A-Za-z0-9*_-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))')
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE)


class MultipartError(Exception):
    pass


@dataclass(frozen=True)
class PartBegin:
    name: str
    file_name: str | None
    content_type: str | None


@dataclass(frozen=True)
class PartData:
    data: bytes


@dataclass(frozen=True)
class PartEnd:
    pass


Event = PartBegin | PartData | PartEnd


class _State(Enum):
    FIRST_DELIMITER = auto()
    AFTER_DELIMITER = auto()
    HEADERS = auto()
    DATA = auto()
    DONE = auto()


def boundary_of(content_type: str) -> bytes:
    match = _BOUNDARY.search(content_type)
    if not match:
        raise MultipartError("boundary is missing")
    boundary = (match[1] or match[2]).encode()
    if len(boundary) > 70:
        raise MultipartError("boundary is longer than 70 bytes")
    return boundary


class MultipartParser:
    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        # The first delimiter has no line break before it; this one makes all delimiters alike.
        self._buffer = b"\r\n"
        self._state = _State.FIRST_DELIMITER

    def feed(self, data: bytes) -> Iterator[Event]:
        self._buffer = self._buffer + data if self._buffer else data
        step = True
        while step:
            before = self._state
            yield from self._step()
            step = self._state is not before

    def finish(self) -> None:
        if self._state is not _State.DONE:
            raise MultipartError("the body ends before the last boundary")

    def _step(self) -> Iterator[Event]:
        if self._state is _State.FIRST_DELIMITER:
            self._first_delimiter()
        elif self._state is _State.AFTER_DELIMITER:
            self._after_delimiter()
        elif self._state is _State.HEADERS:
            yield from self._headers()
        elif self._state is _State.DATA:
            yield from self._data()
        elif self._buffer not in (b"", b"\r", b"\r\n"):
            raise MultipartError("data after the last boundary")

    def _first_delimiter(self) -> None:
        if len(self._buffer) < len(self._delimiter):
            return
        if not self._buffer.startswith(self._delimiter):
            raise MultipartError("the body does not start with the boundary")
        self._take(len(self._delimiter))
        self._state = _State.AFTER_DELIMITER

    def _after_delimiter(self) -> None:
        if len(self._buffer) < 2:
            return
        mark = self._buffer[:2]
        if mark not in (b"\r\n", b"--"):
            raise MultipartError("a boundary is followed by neither a line break nor two hyphens")
        self._take(2)
        self._state = _State.HEADERS if mark == b"\r\n" else _State.DONE

    def _headers(self) -> Iterator[Event]:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or end > MAX_HEADER_BYTES:
            if len(self._buffer) > MAX_HEADER_BYTES:
                raise MultipartError("the headers of a part are too long")
            return
        begin = _parse_headers(self._buffer[:end])
        self._take(end + 4)
        self._state = _State.DATA
        yield begin

    def _data(self) -> Iterator[Event]:
        found = self._buffer.find(self._delimiter)
        if found >= 0:
            if found > 0:
                yield PartData(self._buffer[:found])
            self._take(found + len(self._delimiter))
            self._state = _State.AFTER_DELIMITER
            yield PartEnd()
            return
        # Bytes that could be the beginning of a delimiter wait for the next bytes.
        safe = len(self._buffer) - len(self._delimiter) + 1
        if safe > 0:
            yield PartData(self._buffer[:safe])
            self._take(safe)

    def _take(self, count: int) -> None:
        self._buffer = self._buffer[count:]


def _parse_headers(block: bytes) -> PartBegin:
    try:
        lines = block.decode("utf-8").split("\r\n")
    except UnicodeDecodeError as error:
        raise MultipartError("the headers of a part are not UTF-8") from error
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name.strip() != name or not name:
            raise MultipartError(f"malformed header in a part: {line!r}")
        headers[name.lower()] = value.strip()
    disposition = headers.get("content-disposition", "")
    if not re.match(r"form-data\s*;", disposition, re.IGNORECASE):
        raise MultipartError("a part lacks Content-Disposition: form-data")
    parameters = {m[1].lower(): _unquote(m[2]) if m[2] is not None else m[3] for m in _PARAMETER.finditer(disposition)}
    if not parameters.get("name"):
        raise MultipartError("a part has no name")
    return PartBegin(parameters["name"], _file_name(parameters), headers.get("content-type"))


def _unquote(value: str) -> str:
    # Browsers and HTTP libraries write %22, %0A and %0D (the HTML standard); others write backslashes.
    value = re.sub(r'\\([\\"])', r"\1", value)
    return value.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _file_name(parameters: dict[str, str]) -> str | None:
    extended = parameters.get("filename*")
    if extended is not None:
        charset, _, encoded = extended.partition("''")
        if charset.lower() != "utf-8":
            raise MultipartError("filename* is not UTF-8")
        return unquote(encoded, errors="strict")
    return parameters.get("filename")
