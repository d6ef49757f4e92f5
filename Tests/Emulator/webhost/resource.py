"""One file as HTTP sees it: validators, and the part of it that a request asks for."""

from __future__ import annotations

import mimetypes
import re
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from aiohttp import web

_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")


@dataclass(frozen=True)
class Resource:
    path: Path
    size: int
    etag: str
    last_modified: str

    @property
    def content_type(self) -> str:
        return mimetypes.guess_type(self.path.name)[0] or "application/octet-stream"


@dataclass(frozen=True)
class Slice:
    start: int
    length: int
    status: int


def find(root: Path, name: str) -> Resource:
    """Raise 404 unless the path is a file below the root."""
    path = (root / name).resolve()
    if not path.is_relative_to(root) or not path.is_file():
        raise web.HTTPNotFound
    facts = path.stat()
    return Resource(
        path, facts.st_size, f'"{facts.st_size:x}-{facts.st_mtime_ns:x}"', formatdate(int(facts.st_mtime), usegmt=True)
    )


def requested_slice(request: web.BaseRequest, resource: Resource) -> Slice:
    """The whole file, or one range of it (RFC 9110, 14.2); several ranges at once are answered with the whole."""
    whole = Slice(0, resource.size, 200)
    match = _RANGE.match(request.headers.get("Range", ""))
    if request.method != "GET" or match is None or not (match[1] or match[2]):
        return whole
    condition = request.headers.get("If-Range")
    if condition is not None and condition not in (resource.etag, resource.last_modified):
        return whole
    if match[1]:
        start = int(match[1])
        end = min(int(match[2]), resource.size - 1) if match[2] else resource.size - 1
        if match[2] and int(match[2]) < start:
            return whole
    else:
        start = max(resource.size - int(match[2]), 0)
        end = resource.size - 1
    if start >= resource.size or (not match[1] and int(match[2]) == 0):
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{resource.size}"})
    return Slice(start, end - start + 1, 206)


def is_not_modified(request: web.BaseRequest, resource: Resource) -> bool:
    tags = request.headers.get("If-None-Match")
    if tags is not None:
        return tags.strip() == "*" or resource.etag in [tag.strip() for tag in tags.split(",")]
    return request.headers.get("If-Modified-Since") == resource.last_modified
