"""The content delivery network: encrypted pieces from an untrusted data centre."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from ..ciphers import ctr, sha256
from ..core import Core
from ..errors import bad_request, migrate
from ..media import Medium
from ..rpc import Call, method
from ..tl import functions, types

HASHED_BYTES = 128 * 1024
MAX_CDN_BYTES = 1 << 20
_requests: dict[bytes, bytes] = {}
"""Tokens of reuploads asked for → tokens of the files."""


def aes_of(core: Core, medium: Medium) -> tuple[bytes, bytes]:
    seed = sha256(core.cdn_key, str(medium.id).encode())
    return sha256(seed), seed[:12] + bytes(4)


def hashes(medium: Medium, offset: int, count: int = 8) -> list[Any]:
    """So many from the piece that holds `offset` on; fewer at the end of the file."""
    first = offset // HASHED_BYTES * HASHED_BYTES
    found: list[Any] = []
    with medium.path.open("rb") as file:
        file.seek(first)
        while len(found) < count and (data := file.read(HASHED_BYTES)):
            found.append(types.FileHash(first, len(data), hashlib.sha256(data).digest()))
            first += len(data)
    return found


def _medium(call: Call, token: bytes) -> Medium:
    medium = call.core.directory.media.by_token(token)
    if medium is None:
        raise bad_request("FILE_TOKEN_INVALID")
    return medium


@method(functions.upload.GetCdnFileRequest, anonymous=True, cdn=True)
def get_cdn_file(call: Call, request: Any) -> Any:
    medium = _medium(call, request.file_token)
    if request.offset < 0 or request.offset % 4096:
        raise bad_request("OFFSET_INVALID")
    if not 0 < request.limit <= MAX_CDN_BYTES or request.limit % 4096 or MAX_CDN_BYTES % request.limit:
        raise bad_request("LIMIT_INVALID")
    habits = call.core.modes.habits
    if habits.take("cdn_reupload"):
        wanted = secrets.token_bytes(16)
        _requests[wanted] = request.file_token
        return types.upload.CdnFileReuploadNeeded(wanted)
    with medium.path.open("rb") as file:
        file.seek(request.offset)
        data = file.read(request.limit)
    key, iv = aes_of(call.core, medium)
    data = ctr(key, iv[:12] + (request.offset // 16).to_bytes(4, "big")).update(data)
    if data and habits.take("cdn_tamper"):
        data = bytes([data[0] ^ 1]) + data[1:]
    return types.upload.CdnFile(data)


@method(functions.upload.GetCdnFileHashesRequest, anywhere=True)
def get_cdn_file_hashes(call: Call, request: Any) -> Any:
    medium = _medium(call, request.file_token)
    if medium.dc != call.dc:
        raise migrate("FILE", medium.dc)
    return hashes(medium, request.offset)


@method(functions.upload.ReuploadCdnFileRequest, anywhere=True)
def reupload_cdn_file(call: Call, request: Any) -> Any:
    medium = _medium(call, request.file_token)
    if _requests.pop(request.request_token, None) != request.file_token:
        raise bad_request("REQUEST_TOKEN_INVALID")
    return hashes(medium, 0)
