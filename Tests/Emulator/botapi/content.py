"""Media as they appear in a message."""

from __future__ import annotations

from typing import Any

from .filestore import File

Json = dict[str, Any]

_ATTRIBUTES = {
    "video": {"width": 0, "height": 0, "duration": 0},
    "animation": {"width": 0, "height": 0, "duration": 0},
    "audio": {"duration": 0},
    "voice": {"duration": 0},
    "photo": {"width": 0, "height": 0},
    "document": {},
    "thumbnail": {"width": 0, "height": 0},
}
_OPTIONAL = {"audio": ("title", "performer"), "video": ("start_timestamp",)}
MEDIA_KINDS = ("video", "animation", "audio", "voice", "photo", "document")


def media_content(file: File, thumbnail: Json | None = None) -> Json:
    """The keys that this file adds to a message."""
    if file.kind == "photo":
        return {"photo": [file_object(file)]}
    item = file_object(file)
    if thumbnail is not None:
        item["thumbnail"] = thumbnail
    if file.kind == "animation":
        # Kept by Telegram for clients that know documents only.
        document = {key: value for key, value in item.items() if key not in _ATTRIBUTES["animation"]}
        return {"animation": item, "document": document}
    return {file.kind: item}


def file_object(file: File) -> Json:
    item: Json = dict(_ATTRIBUTES[file.kind])
    for name in (*item, *_OPTIONAL.get(file.kind, ())):
        if file.attributes.get(name) is not None:
            item[name] = file.attributes[name]
    if file.kind not in ("photo", "thumbnail"):
        if file.file_name and file.kind != "voice":
            item["file_name"] = file.file_name
        item["mime_type"] = file.mime_type
    return item | {
        "file_id": file.file_id,
        "file_unique_id": file.blob.file_unique_id,
        "file_size": file.blob.size,
    }


def has_media(body: Json) -> bool:
    return any(kind in body for kind in MEDIA_KINDS)
