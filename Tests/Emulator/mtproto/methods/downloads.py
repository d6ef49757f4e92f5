"""Files out: pieces, with the rules for offsets, and their hashes."""

from __future__ import annotations

from typing import Any

from ..core import CDN_DC
from ..errors import bad_request, migrate
from ..media import Medium
from ..rpc import Call, method
from ..tl import functions, types
from .cdn import aes_of, hashes

MEBIBYTE = 1 << 20
_TYPES = {"image/jpeg": types.storage.FileJpeg, "image/png": types.storage.FilePng, "image/gif": types.storage.FileGif,
          "video/mp4": types.storage.FileMp4, "audio/mpeg": types.storage.FileMp3,
          "application/pdf": types.storage.FilePdf}  # fmt: skip


def check_range(offset: int, limit: int, *, is_precise: bool = False) -> None:
    """- Raises RpcError: not aligned, too much, or across a boundary of 1 MiB."""
    unit = 1024 if is_precise else 4096
    if offset < 0 or offset % unit:
        raise bad_request("OFFSET_INVALID")
    if not 0 < limit <= MEBIBYTE or limit % unit or (not is_precise and MEBIBYTE % limit):
        raise bad_request("LIMIT_INVALID")
    if offset // MEBIBYTE != (offset + limit - 1) // MEBIBYTE:
        raise bad_request("LIMIT_INVALID")


def read_range(medium: Medium, offset: int, limit: int) -> bytes:
    with medium.path.open("rb") as file:
        file.seek(offset)
        return file.read(limit)


def _medium(call: Call, location: Any) -> Medium:
    known = (types.InputDocumentFileLocation, types.InputPhotoFileLocation)
    if not isinstance(location, known):
        raise bad_request("LOCATION_INVALID")
    table = call.core.directory.media
    medium = table.check(call.account, location.id, location.access_hash, location.file_reference)
    if medium.is_photo is not isinstance(location, types.InputPhotoFileLocation):
        raise bad_request("LOCATION_INVALID")
    if not medium.is_photo and location.thumb_size:
        raise bad_request("LOCATION_INVALID")
    if medium.dc != call.dc:
        raise migrate("FILE", medium.dc)
    return medium


@method(functions.upload.GetFileRequest, anywhere=True)
def get_file(call: Call, request: Any) -> Any:
    check_range(request.offset, request.limit, is_precise=bool(request.precise))
    medium = _medium(call, request.location)
    cdn = call.core.modes.habits.cdn
    if (cdn == "always" or (cdn == "auto" and request.cdn_supported)) and not medium.is_photo:
        key, iv = aes_of(call.core, medium)
        token = call.core.directory.media.token(medium)
        return types.upload.FileCdnRedirect(CDN_DC, token, key, iv, hashes(medium, request.offset))
    kind = _TYPES.get(medium.file.mime_type, types.storage.FileUnknown)
    return types.upload.File(kind(), medium.date, read_range(medium, request.offset, request.limit))


@method(functions.upload.GetFileHashesRequest, anywhere=True)
def get_file_hashes(call: Call, request: Any) -> Any:
    if request.offset < 0:
        raise bad_request("OFFSET_INVALID")
    return hashes(_medium(call, request.location), request.offset, 80)
