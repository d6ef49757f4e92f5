"""The ways of naming a file to send: an upload, attach://, a file_id, an HTTP URL, and file:// on a local server."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import secrets
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp

from .errors import bad_request
from .filestore import WRONG_FILE, Blob, File, FileStore
from .images import image_size
from .request import Upload
from .world import Call

PHOTO_MAX_BYTES = 10 * 1024 * 1024
URL_MAX_BYTES = 20 * 1024 * 1024
URL_PHOTO_MAX_BYTES = 5 * 1024 * 1024
URL_TIMEOUT_SECONDS = 20

_DEFAULT_MIME = {"video": "video/mp4", "audio": "audio/mpeg", "voice": "audio/ogg", "photo": "image/jpeg",
                 "animation": "video/mp4"}  # fmt: skip
# The content types that the server accepts by URL. It checks only the type in the answer's header.
_URL_TYPES = {
    "photo": ("image/",),
    "video": ("video/mp4",),
    "animation": ("video/mp4", "image/gif"),
    "audio": ("audio/",),
    "voice": ("audio/ogg",),
    "document": ("application/pdf", "application/zip", "image/gif"),
}


@dataclass
class Source:
    blob: Blob
    file_name: str | None
    mime_type: str


async def input_file(call: Call, kind: str, attributes: dict[str, Any], name: str | None = None) -> File | None:
    """The file of the parameter `name` (by default named like its type), or None if there is none."""
    name = name or kind
    upload = call.uploads.get(name)
    value = call.get(name)
    if upload is None and value is None:
        return None
    if upload is None and value.startswith("attach://"):
        upload = call.uploads[value.removeprefix("attach://")]
    if upload is not None:
        source = _from_upload(call, kind, upload)
    elif urlsplit(value).scheme in ("http", "https"):
        source = await fetched(call.world.files, kind, value)
    elif value.startswith("file:/"):
        source = await _from_path(call, kind, value)
    else:
        return call.world.files.resolve(call.bot.id, value, kind)
    if kind == "photo":
        attributes = attributes | _photo_size(source.blob)
    return call.world.files.issue(call.bot.id, kind, source.blob, source.file_name, source.mime_type, attributes)


def check_uploads(call: Call, file_parameters: list[str]) -> None:
    """Refuse references to missing parts, and parts with a file that nothing refers to (which the server ignores)."""
    values = [call.get(name, "") for name in file_parameters]
    if call.method == "sendMediaGroup":
        members = [member for member in call.get("media", []) if isinstance(member, dict)]
        values += [str(member.get(name, "")) for member in members for name in ("media", "thumbnail")]
    attached = {value.removeprefix("attach://") for value in values if value.startswith("attach://")}
    for name in attached - call.uploads.keys():
        raise bad_request(f"can't find file part attach://{name} refers to")
    for name in call.uploads:
        if name not in file_parameters and name not in attached:
            raise bad_request(f'unknown parameter "{name}"')


def mime_type_of(kind: str, file_name: str | None, declared: str | None = None) -> str:
    if declared and declared != "application/octet-stream":
        return declared.split(";")[0].strip()
    guessed = mimetypes.guess_type(file_name or "")[0]
    return guessed or _DEFAULT_MIME.get(kind, "application/octet-stream")


def _check_size(kind: str, size: int, limit: int) -> None:
    if size == 0:
        raise bad_request("file must be non-empty")
    if kind == "photo" and size > PHOTO_MAX_BYTES:
        raise bad_request(
            f"file of size {size} bytes is too big for a photo; the maximum size is {PHOTO_MAX_BYTES} bytes"
        )
    if size > limit:
        raise bad_request("file is too big")


def _from_upload(call: Call, kind: str, upload: Upload) -> Source:
    _check_size(kind, upload.size, call.world.options.max_upload_bytes)
    blob = call.world.files.keep(upload.path, upload.sha256, upload.size)
    name = PurePosixPath(upload.file_name.replace("\\", "/")).name or None
    return Source(blob, name, mime_type_of(kind, name, upload.content_type))


async def _from_path(call: Call, kind: str, url: str) -> Source:
    if not call.world.options.local:
        raise bad_request("invalid file HTTP URL specified: URL host is empty")
    path = Path(unquote(urlsplit(url).path))
    if not path.is_file():
        raise bad_request(WRONG_FILE)
    _check_size(kind, path.stat().st_size, call.world.options.max_upload_bytes)
    blob = await asyncio.to_thread(call.world.files.keep_copy, path)
    return Source(blob, path.name, mime_type_of(kind, path.name))


async def fetched(files: FileStore, kind: str, url: str, types: tuple[str, ...] | None = None) -> Source:
    """Return the file at a URL if its type is allowed for this kind of message."""
    limit = URL_PHOTO_MAX_BYTES if kind == "photo" else URL_MAX_BYTES
    target = files.incoming_directory / f"url-{secrets.token_hex(8)}"
    timeout = aiohttp.ClientTimeout(total=URL_TIMEOUT_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            if response.status != 200:
                raise bad_request("failed to get HTTP URL content")
            mime_type = response.content_type
            if not mime_type.startswith(types or _URL_TYPES[kind]):
                raise bad_request("wrong type of the web page content")
            digest, size = await _save(response.content, target, limit)
        blob = files.keep(target, digest, size)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise bad_request("failed to get HTTP URL content") from error
    finally:
        target.unlink(missing_ok=True)
    return Source(blob, PurePosixPath(unquote(urlsplit(url).path)).name or None, mime_type)


async def _save(content: aiohttp.StreamReader, target: Path, limit: int) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    with target.open("wb") as file:
        async for chunk in content.iter_any():
            size += len(chunk)
            if size > limit:
                # The server gives up on a page that is too large with the same words as on a missing one.
                raise bad_request("failed to get HTTP URL content")
            digest.update(chunk)
            file.write(chunk)
    if size == 0:
        raise bad_request("failed to get HTTP URL content")
    return digest.hexdigest(), size


def _photo_size(blob: Blob) -> dict[str, int]:
    size = image_size(blob.path)
    if size is None:
        raise bad_request("IMAGE_PROCESS_FAILED")
    width, height = size
    if not width or not height or width + height > 10_000 or max(width, height) > 20 * min(width, height):
        raise bad_request("PHOTO_INVALID_DIMENSIONS")
    return {"width": width, "height": height}
