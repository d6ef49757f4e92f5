"""Files in: parts, and the media made of them."""

from __future__ import annotations

from typing import Any

from botapi.content import media_content as content_of
from botapi.errors import ApiError
from botapi.filestore import Blob, File
from botapi.images import image_size
from botapi.inputfile import fetched

from ..errors import bad_request
from ..media import Medium
from ..rpc import Call, method
from ..tl import functions, types

Json = dict[str, Any]
PHOTO_MAX_BYTES = 10 * 1024 * 1024


@method(functions.upload.SaveFilePartRequest, anywhere=True)
def save_file_part(call: Call, request: Any) -> bool:
    call.core.uploads.save(call.account, call.dc, request.file_id, request.file_part, request.bytes, None)
    return True


@method(functions.upload.SaveBigFilePartRequest, anywhere=True)
def save_big_file_part(call: Call, request: Any) -> bool:
    total = request.file_total_parts
    call.core.uploads.save(call.account, call.dc, request.file_id, request.file_part, request.bytes, total)
    return True


async def media_content(call: Call, media: Any) -> Json:
    """Return the media that an InputMedia adds to a message.

    - Raises RpcError: missing parts, expired references, kinds that the emulator does not have.
    """
    if isinstance(media, types.InputMediaUploadedPhoto):
        return content_of(await _photo(call, media))
    if isinstance(media, types.InputMediaUploadedDocument):
        return content_of(await _document(call, media))
    if isinstance(media, (types.InputMediaPhoto, types.InputMediaDocument)):
        return content_of(_known(call, media).file)
    if isinstance(media, (types.InputMediaPhotoExternal, types.InputMediaDocumentExternal)):
        return content_of(await _external(call, media))
    raise bad_request("MEDIA_EMPTY" if isinstance(media, types.InputMediaEmpty) else "MEDIA_INVALID")


# The kind of media that a fetched file becomes, by the content type in the answer's header.
_KINDS = {"video/mp4": "video", "image/gif": "animation", "audio/mpeg": "audio", "audio/mp4": "audio", "audio/ogg": "voice",
          "application/pdf": "document", "application/zip": "document"}  # fmt: skip


async def _external(call: Call, media: Any) -> File:
    is_photo = isinstance(media, types.InputMediaPhotoExternal)
    kind = "photo" if is_photo else "document"
    try:
        source = await fetched(call.core.files, kind, media.url, None if is_photo else tuple(_KINDS))
    except ApiError as error:
        raise bad_request("WEBPAGE_CURL_FAILED") from error
    if is_photo:
        size = image_size(source.blob.path)
        if size is None:
            raise bad_request("IMAGE_PROCESS_FAILED")
        return _issue(call, "photo", source.blob, None, source.mime_type, {"width": size[0], "height": size[1]})
    return _issue(call, _KINDS[source.mime_type], source.blob, source.file_name, source.mime_type, {})


def _known(call: Call, media: Any) -> Medium:
    given = media.id
    if not isinstance(given, (types.InputPhoto, types.InputDocument)):
        raise bad_request("MEDIA_EMPTY")
    medium = call.core.directory.media.check(call.account, given.id, given.access_hash, given.file_reference)
    if medium.is_photo is not isinstance(media, types.InputMediaPhoto):
        raise bad_request("MEDIA_INVALID")
    return medium


async def _photo(call: Call, media: Any) -> File:
    blob = await call.core.uploads.assemble(call.account, call.dc, media.file)
    size = image_size(blob.path)
    if size is None or blob.size > PHOTO_MAX_BYTES:
        raise bad_request("PHOTO_INVALID_DIMENSIONS" if size else "IMAGE_PROCESS_FAILED")
    return _issue(call, "photo", blob, None, "image/jpeg", {"width": size[0], "height": size[1]})


async def _document(call: Call, media: Any) -> File:
    blob = await call.core.uploads.assemble(call.account, call.dc, media.file)
    if media.thumb is not None:
        await call.core.uploads.assemble(call.account, call.dc, media.thumb)
    name: str | None = getattr(media.file, "name", None) or None
    found: Json = {}
    kind = "document"
    for attribute in media.attributes:
        if isinstance(attribute, types.DocumentAttributeFilename):
            name = attribute.file_name
        elif isinstance(attribute, types.DocumentAttributeVideo):
            kind = "video" if kind == "document" else kind
            found |= {"duration": int(attribute.duration), "width": attribute.w, "height": attribute.h,
                      "supports_streaming": bool(attribute.supports_streaming)}  # fmt: skip
        elif isinstance(attribute, types.DocumentAttributeAudio):
            kind = "voice" if attribute.voice else "audio"
            found |= {"duration": attribute.duration, "title": attribute.title, "performer": attribute.performer}
        elif isinstance(attribute, types.DocumentAttributeAnimated):
            kind = "animation"
    if media.force_file:
        kind = "document"
    return _issue(call, kind, blob, name, media.mime_type or "application/octet-stream", found)


def _issue(call: Call, kind: str, blob: Blob, name: str | None, mime_type: str, found: Json) -> File:
    attributes = {key: value for key, value in found.items() if value is not None} | {"dc": call.dc}
    return call.core.files.issue(call.account.id, kind, blob, name, mime_type, attributes)


@method(functions.messages.UploadMediaRequest)
async def upload_media(call: Call, request: Any) -> Any:
    content = await media_content(call, request.media)
    return call.core.directory.media.media(call.account, content, (call.account.id, 0))
