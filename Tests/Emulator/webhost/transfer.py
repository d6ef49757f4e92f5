"""Sends a body: at full speed, slowly, or incompletely."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from aiohttp import web

from .journal import Visit
from .resource import Resource, Slice, is_not_modified, requested_slice

CHUNK_BYTES = 1 << 18
SLOW_TICK_SECONDS = 0.05


@dataclass(frozen=True)
class Manner:
    """Describes how a file is sent. With the defaults, it is sent without a fault."""

    bytes_per_second: int | None = None
    drop_after: int | None = None
    ranges: bool = True
    chunked: bool = False
    claimed_length: int | None = None
    etag: str | None = None


async def send_file(request: web.Request, visit: Visit, resource: Resource, manner: Manner) -> web.StreamResponse:
    if manner.etag is not None:
        resource = Resource(resource.path, resource.size, manner.etag, resource.last_modified)
    if is_not_modified(request, resource):
        return await _prepared(request, visit, web.StreamResponse(status=304, headers=_validators(resource)))
    part = requested_slice(request, resource) if manner.ranges else Slice(0, resource.size, 200)
    response = web.StreamResponse(status=part.status, headers=_validators(resource))
    response.content_type = resource.content_type
    if manner.ranges:
        response.headers["Accept-Ranges"] = "bytes"
    if part.status == 206:
        response.headers["Content-Range"] = f"bytes {part.start}-{part.start + part.length - 1}/{resource.size}"
    if manner.chunked:
        response.enable_chunked_encoding()
    else:
        response.content_length = part.length if manner.claimed_length is None else manner.claimed_length
    await _prepared(request, visit, response)
    if request.method != "HEAD":
        await _send_part(request, visit, response, resource, part, manner)
    return response


def cut(request: web.Request) -> None:
    """Close the connection after the bytes written so far."""
    if request.transport is not None:
        request.transport.close()


async def _prepared(request: web.Request, visit: Visit, response: web.StreamResponse) -> web.StreamResponse:
    visit.status = response.status
    await response.prepare(request)
    return response


def _validators(resource: Resource) -> Mapping[str, str]:
    return {"ETag": resource.etag, "Last-Modified": resource.last_modified}


async def _send_part(
    request: web.Request, visit: Visit, response: web.StreamResponse, resource: Resource, part: Slice, manner: Manner
) -> None:
    count = part.length if manner.drop_after is None else min(part.length, manner.drop_after)
    with resource.path.open("rb") as file:
        file.seek(part.start)
        if manner.bytes_per_second is not None:
            await _write_slowly(response, visit, file, count, manner.bytes_per_second)
        else:
            await _write(response, visit, file, count)
    is_short = manner.claimed_length is not None and manner.claimed_length > part.length
    if manner.drop_after is not None and manner.drop_after < part.length or is_short:
        cut(request)


async def _write(response: web.StreamResponse, visit: Visit, file: BinaryIO, count: int) -> None:
    while count > 0:
        data = file.read(min(CHUNK_BYTES, count))
        await response.write(data)
        count -= len(data)
        visit.bytes_sent += len(data)


async def _write_slowly(
    response: web.StreamResponse, visit: Visit, file: BinaryIO, count: int, bytes_per_second: int
) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    chunk = max(1, int(bytes_per_second * SLOW_TICK_SECONDS))
    while count > 0:
        data = file.read(min(chunk, count))
        await response.write(data)
        count -= len(data)
        visit.bytes_sent += len(data)
        due = begun + visit.bytes_sent / bytes_per_second
        await asyncio.sleep(max(0, due - loop.time()))
