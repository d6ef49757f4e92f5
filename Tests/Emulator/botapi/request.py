"""A call's parameters out of an HTTP request: query string, form, JSON or multipart, uploads streamed to disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl

from aiohttp import web

from .errors import ApiError, bad_request, too_large
from .multipart import MultipartError, MultipartParser, PartBegin, PartData, PartEnd, boundary_of

MAX_FIELDS_BYTES = 4 << 20
# Room for the fields and part headers around an upload of exactly the largest size.
ENVELOPE_BYTES = 1 << 16


@dataclass
class Upload:
    """A file in flight; whoever keeps it moves `path` away, the rest is deleted when the call ends."""

    field_name: str
    file_name: str
    content_type: str | None
    path: Path
    size: int = 0
    sha256: str = ""

    def describe(self) -> dict[str, Any]:
        return {"file_name": self.file_name, "size": self.size, "sha256": self.sha256}


@dataclass
class Parameters:
    fields: dict[str, Any] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)

    def add(self, name: str, value: Any) -> None:
        if name in self.fields or name in self.uploads:
            raise bad_request(f'parameter "{name}" is given twice')
        self.fields[name] = value

    def describe(self) -> dict[str, Any]:
        return self.fields | {name: upload.describe() for name, upload in self.uploads.items()}

    def discard(self) -> None:
        for upload in self.uploads.values():
            upload.path.unlink(missing_ok=True)


class ParameterReader:
    """Reads requests into `directory`, refusing uploads above `max_upload_bytes` as soon as that can be known."""

    def __init__(self, directory: Path, max_upload_bytes: int) -> None:
        self._directory = directory
        self._max_upload_bytes = max_upload_bytes
        self._serial = 0

    def is_too_large(self, request: web.BaseRequest) -> bool:
        return (request.content_length or 0) > self._max_upload_bytes + ENVELOPE_BYTES

    async def read(self, request: web.BaseRequest, into: Parameters) -> None:
        """Fill `into`, which also owns the files that were read before an error."""
        if self.is_too_large(request):
            raise too_large()
        _add_pairs(into, _parse_pairs(request.rel_url.raw_query_string))
        if request.method == "GET":
            return
        kind = request.content_type
        if kind == "multipart/form-data":
            await self._read_multipart(request, into)
        elif kind == "application/x-www-form-urlencoded":
            _add_pairs(into, _parse_pairs(_decode(await _read_all(request))))
        elif kind == "application/json":
            _add_pairs(into, _json_pairs(await _read_all(request)))
        elif request.body_exists and await _read_all(request):
            raise ApiError(415, "Unsupported Media Type")

    async def _read_multipart(self, request: web.BaseRequest, into: Parameters) -> None:
        try:
            parser = MultipartParser(boundary_of(request.headers["Content-Type"]))
            sink = _PartSink(self._next_path, self._max_upload_bytes, into)
            try:
                async for chunk in request.content.iter_any():
                    for event in parser.feed(chunk):
                        sink.handle(event)
            finally:
                sink.close()
            parser.finish()
        except MultipartError as error:
            raise bad_request(f"can't parse multipart/form-data: {error}") from error

    def _next_path(self) -> Path:
        self._serial += 1
        return self._directory / f"upload-{self._serial}"


class _PartSink:
    """Writes the parts of one body: files to disk with their hash, fields to memory."""

    def __init__(self, next_path: Any, max_upload_bytes: int, into: Parameters) -> None:
        self._next_path = next_path
        self._max_upload_bytes = max_upload_bytes
        self._into = into
        self._name = ""
        self._value = bytearray()
        self._fields_bytes = 0
        self._upload: Upload | None = None
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()

    def handle(self, event: PartBegin | PartData | PartEnd) -> None:
        if isinstance(event, PartData):
            self._data(event.data)
        elif isinstance(event, PartBegin):
            self._begin(event)
        else:
            self._end()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self, part: PartBegin) -> None:
        if part.name in self._into.fields or part.name in self._into.uploads:
            raise bad_request(f'parameter "{part.name}" is given twice')
        self._name = part.name
        self._value.clear()
        self._upload = None
        if part.file_name is not None:
            self._upload = Upload(part.name, part.file_name, part.content_type, self._next_path())
            self._into.uploads[part.name] = self._upload
            self._file = self._upload.path.open("wb")
            self._hash = hashlib.sha256()

    def _data(self, data: bytes) -> None:
        if self._upload is None or self._file is None:
            self._fields_bytes += len(data)
            if self._fields_bytes > MAX_FIELDS_BYTES:
                raise too_large()
            self._value += data
            return
        self._upload.size += len(data)
        if self._upload.size > self._max_upload_bytes:
            raise too_large()
        self._file.write(data)
        self._hash.update(data)

    def _end(self) -> None:
        if self._upload is None:
            self._into.fields[self._name] = _decode(bytes(self._value))
            return
        self.close()
        self._upload.sha256 = self._hash.hexdigest()


async def _read_all(request: web.BaseRequest) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_FIELDS_BYTES:
            raise too_large()
    return bytes(body)


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise bad_request("strings must be encoded in UTF-8") from error


def _parse_pairs(query: str) -> list[tuple[str, Any]]:
    try:
        return list(parse_qsl(query, keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError as error:
        raise bad_request("strings must be encoded in UTF-8") from error


def _json_pairs(body: bytes) -> Iterable[tuple[str, Any]]:
    try:
        value = json.loads(_decode(body) or "{}", object_pairs_hook=_unique)
    except ValueError as error:
        raise bad_request("can't parse parameters JSON object") from error
    if not isinstance(value, dict):
        raise bad_request("can't parse parameters JSON object")
    return value.items()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key is given twice")
    return value


def _add_pairs(into: Parameters, pairs: Iterable[tuple[str, Any]]) -> None:
    for name, value in pairs:
        into.add(name, value)
