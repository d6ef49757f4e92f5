"""Answers that are no files: endless and exploding bodies, pages, echoes."""

from __future__ import annotations

import asyncio
import html
import zlib
from pathlib import PurePosixPath

from aiohttp import web

from .journal import Visit
from .resource import Resource

ENDLESS_CHUNK = b"\0" * (1 << 18)
BOMB_UNIT_BYTES = 1 << 20
BOMB_DEFAULT_BYTES = 1 << 30


async def send_endless(request: web.Request, visit: Visit) -> web.StreamResponse:
    """Sends until the client has had enough; `?rate=` slows it down (bytes a second)."""
    rate = int(request.query.get("rate", 0))
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.enable_chunked_encoding()
    visit.status = 200
    await response.prepare(request)
    while True:
        chunk = ENDLESS_CHUNK if not rate else ENDLESS_CHUNK[: max(1, rate // 20)]
        await response.write(chunk)
        visit.bytes_sent += len(chunk)
        await asyncio.sleep(0.05 if rate else 0)


async def send_gzip_bomb(request: web.Request, visit: Visit) -> web.StreamResponse:
    """A small gzip body that inflates to `?bytes=` zeros (1 GiB by default)."""
    units = max(1, int(request.query.get("bytes", BOMB_DEFAULT_BYTES)) // BOMB_UNIT_BYTES)
    unit = b"\0" * BOMB_UNIT_BYTES
    # After a full flush the compressor's state is as new, so one compressed unit can be repeated as it is.
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = compressor.compress(unit) + compressor.flush(zlib.Z_FULL_FLUSH)
    response = web.StreamResponse(headers={"Content-Type": "text/html", "Content-Encoding": "gzip"})
    visit.status = 200
    await response.prepare(request)
    await _write(response, visit, b"\x1f\x8b\x08\0\0\0\0\0\x02\xff")
    checksum = 0
    for _ in range(units):
        checksum = zlib.crc32(unit, checksum)
        await _write(response, visit, block)
    size = units * BOMB_UNIT_BYTES & 0xFFFFFFFF
    trailer = checksum.to_bytes(4, "little") + size.to_bytes(4, "little")
    await _write(response, visit, b"\x03\0" + trailer)
    return response


async def _write(response: web.StreamResponse, visit: Visit, data: bytes) -> None:
    await response.write(data)
    visit.bytes_sent += len(data)


def page(request: web.Request, resource: Resource, name: str) -> web.Response:
    """An HTML page that shows the file, as video sites do."""
    title = html.escape(request.query.get("title", PurePosixPath(name).stem))
    address = html.escape(str(request.url.origin().join(request.url.with_path(f"/{name}").relative())))
    kind = html.escape(resource.content_type)
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<meta property="og:title" content="{title}">
<meta property="og:type" content="video.other">
<meta property="og:video" content="{address}">
<meta property="og:video:type" content="{kind}">
</head>
<body>
<h1>{title}</h1>
<video controls src="{address}" type="{kind}"></video>
</body>
</html>
"""
    return web.Response(text=text, content_type="text/html")


def choice(request: web.Request) -> web.Response:
    """A page whose player has one film in several sizes: `?at=120:clip.mp4&at=240:large.mp4&track=en:words.vtt`, with `&poster=cover.png`."""

    def pairs(name: str) -> list[tuple[str, str]]:
        parted = [value.partition(":") for value in request.query.getall(name, [])]
        return [(html.escape(before), html.escape(after)) for before, _, after in parted]

    sources = [f'<source src="/{file}" label="{size}p" type="video/mp4">' for size, file in pairs("at")]
    tracks = [f'<track kind="subtitles" srclang="{language}" src="/{file}">' for language, file in pairs("track")]
    title = html.escape(request.query.get("title", request.match_info["name"]))
    poster = f' poster="/{html.escape(request.query["poster"])}"' if "poster" in request.query else ""
    text = f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body>
<video controls{poster}>
{chr(10).join(sources + tracks)}
</video>
</body>
</html>
"""
    return web.Response(text=text, content_type="text/html")


def feed(request: web.Request) -> web.Response:
    """A feed of videos: `?of=TITLE:PATH` for each, or `?count=` of them, all at `?path=`."""
    origin = str(request.url.origin())
    parted = [value.partition(":") for value in request.query.getall("of", [])]
    entries = [(title, path) for title, _, path in parted]
    path = request.query.get("path", "clip.mp4")
    entries += [(f"No. {number}", f"{path}?n={number}") for number in range(1, int(request.query.get("count", 0)) + 1)]
    items = "".join(
        f"<item><title>{html.escape(title)}</title><link>{html.escape(f'{origin}/{path}')}</link></item>"
        for title, path in entries
    )
    text = f'<?xml version="1.0"?><rss version="2.0"><channel><title>Feed</title>{items}</channel></rss>'
    return web.Response(text=text, content_type="application/rss+xml")


def several(request: web.Request) -> web.Response:
    """A page that shows several videos, as a post does: `?of=clip.mp4&of=large.mp4`."""
    videos = "".join(f'<video src="/{html.escape(name)}"></video>' for name in request.query.getall("of", []))
    text = f'<!DOCTYPE html><html lang="en"><head><title>Post</title></head><body>{videos}</body></html>'
    return web.Response(text=text, content_type="text/html")


def echo(request: web.Request) -> web.Response:
    """The request itself, as JSON."""
    facts = {
        "method": request.method,
        "path": request.raw_path,
        "headers": dict(request.headers.items()),
    }
    return web.json_response(facts)
