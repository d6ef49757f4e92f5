"""Sends files and serves them."""

from __future__ import annotations

import time
from typing import Any

from ..content import file_object, media_content
from ..errors import bad_request
from ..images import image_size
from ..inputfile import input_file
from ..schema import bind
from ..world import Call
from .delivery import deliver
from .messages import caption_content

Json = dict[str, Any]
_ATTRIBUTES = ("duration", "width", "height", "title", "performer", "start_timestamp")
THUMBNAIL_MAX_BYTES = 200 * 1024


async def send(call: Call) -> Json:
    """All of sendVideo, sendAudio and so on: the method's name is the type."""
    kind = call.method.removeprefix("send").lower()
    # The chat and the caption are judged before the file is stored: a refused call leaves no file_id behind.
    chat = call.writable_chat()
    call.thread(chat)
    content = caption_content(call)
    attributes = {name: call.get(name) for name in _ATTRIBUTES if call.get(name) is not None}
    for name in ("duration", "width", "height", "start_timestamp"):
        if attributes.get(name, 0) < 0:
            raise bad_request(f'parameter "{name}" must not be negative')
    thumbnail = await _thumbnail(call)
    file = await input_file(call, kind, attributes)
    if file is None:
        raise bad_request(f"there is no {kind} in the request")
    content = media_content(file, thumbnail) | content
    if "video" in content and (call.get("cover") is not None or "cover" in call.uploads):
        cover = await input_file(call, "photo", {}, "cover")
        content["video"]["cover"] = [file_object(cover)] if cover else []
    if call.get("show_caption_above_media"):
        content["show_caption_above_media"] = True
    if call.get("has_spoiler"):
        content["has_media_spoiler"] = True
    return deliver(call, content).body


# The members of an album are objects, whose fields the server takes from the parameters of the methods for a single file.
_MEMBERS = {"photo": "sendPhoto", "video": "sendVideo", "audio": "sendAudio", "document": "sendDocument"}
_ALBUMS = ({"photo", "video"}, {"audio"}, {"document"})


async def send_group(call: Call) -> list[Json]:
    members = call.get("media", [])
    if not 2 <= len(members) <= 10:
        raise bad_request("group must contain from 2 to 10 media")
    kinds = {member.get("type") if isinstance(member, dict) else None for member in members}
    if not any(kinds <= album for album in _ALBUMS):
        raise bad_request("can't parse InputMedia: these types can't be in one album")
    shared = {name: value for name, value in call.parameters.items() if name != "media"}
    singles = [_single(call, member, shared) for member in members]
    # All files are judged before the first message is posted.
    contents = []
    for single, member in zip(singles, members, strict=True):
        content = caption_content(single)
        attributes = {name: single.get(name) for name in _ATTRIBUTES if single.get(name) is not None}
        file = await input_file(single, member["type"], attributes)
        if file is None:
            raise bad_request("there is no media in the request")
        contents.append(media_content(file, None) | content)
    group = str(int(time.time() * 1000))
    return [deliver(single, content | {"media_group_id": group}).body for single, content in zip(singles, contents, strict=True)]


def _single(call: Call, member: Json, shared: Json) -> Call:
    given = {member["type"] if name == "media" else name: value for name, value in member.items() if name != "type"}
    method = _MEMBERS[member["type"]]
    return Call(call.world, call.bot, method, shared | bind(method, given), call.uploads)


async def _thumbnail(call: Call) -> Json | None:
    """Thumbnails are always uploaded anew; the server ignores other ones, the emulator refuses them."""
    value = call.get("thumbnail")
    if value is None and "thumbnail" not in call.uploads:
        return None
    if value is not None and not value.startswith(("attach://", "file:/")):
        raise bad_request("a thumbnail can only be uploaded as a new file")
    file = await input_file(call, "thumbnail", {}, "thumbnail")
    if file is None:
        return None
    size = image_size(file.blob.path)
    if size is None or file.blob.size > THUMBNAIL_MAX_BYTES or max(size) > 320:
        raise bad_request("a thumbnail must be an image of at most 200 kB and 320 pixels a side")
    file.attributes |= {"width": size[0], "height": size[1]}
    return file_object(file)


async def get_file(call: Call) -> Json:
    if not call.get("file_id"):
        raise bad_request("file_id not specified")
    file = call.world.files.prepare_download(call.bot.id, call.get("file_id"))
    return {
        "file_id": file.file_id,
        "file_unique_id": file.blob.file_unique_id,
        "file_size": file.blob.size,
        "file_path": file.file_path,
    }
