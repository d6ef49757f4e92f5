"""Check the schemas themselves: every example must fit, and every mistake of the tables below must not."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from validate import Schemas

BASE = "https://tgpipe.invalid/schemas/"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "events.md"

GONE = object()
"""Removes the key."""

# Mistakes in envelopes, as changes to the first example of the schema, each with a word that the reason must contain.
BROKEN_ENVELOPES: list[tuple[dict[str, Any], str]] = [
    ({"type": GONE}, "type"),
    ({"type": ""}, "type"),
    ({"type": "events..raw"}, "type"),
    ({"type": "events.media.fetcht"}, "no schema for the type"),
    ({"type": "commands.telegram.shout"}, "no schema for the type"),
    ({"version": 0}, "version"),
    ({"version": 2}, "no schema for version"),
    ({"version": "1"}, "version"),
    ({"id": "7"}, "id"),
    ({"correlation_id": GONE}, "correlation_id"),
    ({"correlation_id": "01930b7a4f007abc8def0123456789ab"}, "correlation_id"),
    ({"causation_id": None}, "causation_id"),
    ({"timestamp": 1795262400}, "timestamp"),
    ({"timestamp": "2026-11-21 12:00:00"}, "timestamp"),
    ({"timestamp": "2026-11-21T12:00:00+01:00"}, "timestamp"),
    ({"payload": []}, "payload"),
    ({"meta": "none"}, "meta"),
    ({"meta": {"role": "king"}}, "role"),
    ({"meta": {"rate_limited": False}}, "rate_limited"),
    ({"meta": {"as_file": "yes"}}, "as_file"),
    ({"meta": {"hashtags": ["two words"]}}, "hashtags"),
    ({"meta": {"origin": {"chat_id": 42}}}, "message_id"),
    ({"meta": {"group": {"item": 0, "count": 3}}}, "item"),
    ({"meta": {"group": {"item": 1}}}, "count"),
    ({"meta": {"actor": {"id": "42", "name": "Alice"}}}, "actor"),
    ({"meta": {"rate_limit": {"name": "n", "limit": 5, "window_seconds": 60, "retry_after_seconds": 3}}}, "rate_limited"),
]

# Mistakes in payloads, in the same form.
BROKEN_PAYLOADS: list[tuple[str, dict[str, Any], str]] = [
    ("events.telegram.raw", {"update_id": GONE}, "update_id"),
    ("events.telegram.raw", {"message": GONE}, "properties"),
    ("events.telegram.raw", {"edited_message": {"message_id": 7, "date": 1, "chat": {"id": 1, "type": "private"}}}, "anyOf"),
    ("events.telegram.raw", {"pts": 1, "callback_query": {"id": "1", "from": {}}}, "anyOf"),
    ("events.telegram.raw", {"counters": {"views": -1}}, "views"),
    ("events.telegram.raw", {"message": {"message_id": 7, "date": 1}}, "chat"),
    ("commands.media.video_download", {"url": GONE}, "valid under any"),
    ("commands.media.video_download", {"file": {"file_id": "A", "file_unique_id": "B", "type": "video"}}, "valid under each"),
    ("commands.media.audio_download", {"url": GONE, "file": {"file_id": "A", "type": "video"}}, "file_unique_id"),
    ("commands.media.audio_download", {"format": "flac"}, "format"),
    ("commands.media.image_download", {"url": GONE}, "valid under any"),
    ("commands.media.image_download", {"items": {"last": 5}}, "first"),
    ("commands.media.video_download", {"variant": {"height": 0}}, "height"),
    ("commands.media.video_download", {"variant": {"burn_subtitles": "yes"}}, "burn_subtitles"),
    ("commands.media.audio_download", {"variant": {"audio_format": "flac"}}, "audio_format"),
    ("commands.media.video_download", {"items": {"first": 1}}, "last"),
    ("commands.media.video_download", {"variant": {"item": 0}}, "item"),
    ("commands.telegram.answer", {"callback_id": GONE}, "callback_id"),
    ("commands.media.large_download", {"kind": GONE}, "kind"),
    ("commands.media.large_download", {"url": GONE}, "valid under any"),
    ("commands.media.large_download", {"size_bytes": -1}, "size_bytes"),
    ("commands.media.cancel", {"correlation_id": GONE}, "valid under any"),
    ("commands.media.cancel", {"correlation_id": "this one"}, "correlation_id"),
    ("commands.media.cancel", {"chat_id": 1, "message_id": 2}, "valid under each"),
    ("commands.media.cookies", {"action": "read"}, "is not one of"),
    ("commands.media.cookies", {"action": GONE}, "'action' is a required property"),
    ("commands.media.cookies", {"site": ""}, "site"),
    ("events.media.progress", {"state": "thinking"}, "state"),
    ("events.media.progress", {"fraction": 1.5}, "fraction"),
    ("events.media.progress", {"done_bytes": -1}, "done_bytes"),
    ("events.media.fetched", {"path": GONE}, "path"),
    ("events.media.fetched", {"key": "video/../etc/passwd"}, "key"),
    ("events.media.fetched", {"sha256": "ABC"}, "sha256"),
    ("events.media.fetched", {"size_bytes": "731204"}, "size_bytes"),
    ("events.media.fetched", {"file_name": "a/b.mp4"}, "file_name"),
    ("events.media.fetched", {"title": "two\nlines"}, "title"),
    ("events.media.fetched", {"fetched_at": "yesterday"}, "fetched_at"),
    ("events.media.fetched", {"duration": 4}, "duration"),
    ("events.dl.video.ready", {"kind": "audio"}, "kind"),
    ("events.dl.video.ready", {"key": f"audio/{'0' * 64}.mp3"}, "key"),
    ("events.dl.video.ready", {"store": "/srv/media"}, "store"),
    ("events.dl.video.ready", {"store": GONE}, "store"),
    ("events.dl.video.ready", {"url": "ftp://example.com/a"}, "url"),
    ("events.dl.audio.ready", {"url": GONE}, "url"),
    ("events.dl.audio.ready", {"secret": "x"}, "secret"),
    ("events.dl.image.ready", {"kind": "video"}, "kind"),
    ("events.dl.image.ready", {"key": f"image/{'0' * 64}.jpg"}, "key"),
    ("events.dl.video.failed", {"reason": ""}, "reason"),
    ("events.dl.video.failed", {"temporary": GONE}, "temporary"),
    ("events.dl.audio.failed", {"code": "Not found"}, "code"),
    ("events.dl.image.failed", {"kind": "audio"}, "kind"),
    ("events.blob.stored", {"existed": GONE}, "existed"),
    ("events.blob.stored", {"key": ""}, "key"),
    ("events.dl.video.ready", {"object_key": ""}, "object_key"),
    ("commands.blob.remove", {"store": GONE}, "store"),
    ("commands.blob.remove", {"sha256": "abc"}, "sha256"),
    ("events.blob.removed", {"existed": GONE}, "existed"),
    ("commands.telegram.send", {"text": GONE}, "text"),
    ("commands.telegram.send", {"chat_id": "42"}, "chat_id"),
    ("commands.telegram.send", {"parse_mode": "html"}, "parse_mode"),
    ("commands.telegram.reply", {"silent": "yes"}, "silent"),
    ("commands.telegram.edit", {"message_id": GONE}, "message_id"),
    ("commands.telegram.delete", {"message_id": 0}, "message_id"),
    ("commands.telegram.react", {"emoji": GONE}, "emoji"),
    ("commands.telegram.send_video", {"file_id": "A"}, "valid under each"),
    ("commands.telegram.send_audio", {"path": GONE}, "valid under any"),
    ("commands.telegram.send_photo", {"url": "https://example.com/a.jpg"}, "valid under each"),
    ("commands.telegram.send_animation", {"scheduled_at": "noon"}, "scheduled_at"),
    ("commands.telegram.send_voice", {"buttons": [{"text": "More"}]}, "url"),
    ("commands.telegram.send_album", {"files": [{"kind": "photo", "path": "/srv/a.jpg"}]}, "too short"),
    ("commands.telegram.forward", {"message_ids": [7, 7]}, "message_ids"),
    ("commands.telegram.pin", {"message_id": 0}, "message_id"),
    ("commands.telegram.send_document", {"duration_seconds": "4"}, "duration_seconds"),
    ("events.telegram.sent", {"action": "sing"}, "action"),
    ("events.telegram.sent", {"elapsed_seconds": -1}, "elapsed_seconds"),
    ("events.telegram.failed", {"code": "403"}, "code"),
    ("events.telegram.waiting", {"until": GONE}, "until"),
    ("commands.telegram.history", {"chat_id": GONE}, "chat_id"),
    ("commands.telegram.history", {"from_id": 0}, "from_id"),
    ("commands.telegram.history", {"chat_username": ""}, "chat_username"),
    ("commands.telegram.history", {"since": "yesterday"}, "since"),
    ("events.telegram.message", {"channel_post": GONE}, "valid under any"),
    ("events.telegram.message", {"channel_post": {"message_id": 7}}, "date"),
    ("events.telegram.message", {"edited_message": {}}, "edited_message"),
    ("events.telegram.history_range", {"checksum": "AE"}, "checksum"),
    ("events.telegram.history_range", {"chat": {"id": 1}}, "type"),
    ("events.telegram.history_range", {"to_id": GONE}, "to_id"),
    ("events.telegram.history_comments", {"post_id": 0}, "post_id"),
    ("events.telegram.history_comments", {"chat": GONE}, "chat"),
    ("events.telegram.history_hole", {"reason": "two\nlines"}, "reason"),
    ("events.telegram.history_hole", {"from_id": GONE}, "from_id"),
    ("events.telegram.waiting", {"seconds": 1.5}, "seconds"),
    ("events.access.denied", {"reason": GONE}, "reason"),
    ("events.access.changed", {"rule": "curse"}, "rule"),
    ("events.dead_letter", {"line": GONE}, "valid under any"),
    ("events.dead_letter", {"line_base64": "e29vcHM="}, "valid under each"),
    ("events.dead_letter", {"code": "ugly"}, "code"),
]

# Lines that are not even JSON to be trusted.
BROKEN_LINES: list[tuple[bytes, str]] = [
    (b"\n", "no JSON"),
    (b"[]\n", "object"),
    (b'{"type":"a","type":"b"}\n', "repeated"),
    (b'{"type":"a.b","correlation_id":NaN}\n', "NaN"),
    (b'{"type":"\xff"}\n', "no JSON"),
]


def check_schemas(schemas: Schemas) -> list[str]:
    """Returns the faults of the schemas."""
    return [*_plain(schemas), *_documented(schemas), *_examples(schemas), *_mistakes(schemas)]


def _plain(schemas: Schemas) -> list[str]:
    """Returns the schemas without a title, description or example, and the payloads without a mistake in the table."""
    faults = []
    for name, content in schemas.contents.items():
        if content["$id"] != BASE + name:
            faults.append(f"{name}: its $id should be {BASE}{name}")
        wanted = ("title", "description") if "/" in name else ("title", "description", "examples")
        faults += [f"{name}: no {key}" for key in wanted if not content.get(key)]
    tried = {kind for kind, _, _ in BROKEN_PAYLOADS}
    return faults + [f"{kind}: the table has no mistake for it" for kind in schemas.payloads if kind not in tried]


def _documented(schemas: Schemas) -> list[str]:
    """Returns the types that docs/events.md documents without a schema, and the schemas that it does not document."""
    rows = [line.split("|")[1] for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    types = {word for row in rows for word in re.findall(r"`((?:events|commands)\.[a-z_.]+)`", row)}
    faults = [f"{DOCUMENT.name} documents {kind}, which has no schema" for kind in types - schemas.payloads.keys()]
    return faults + [f"{DOCUMENT.name} does not document {kind}" for kind in schemas.payloads.keys() - types]


def _examples(schemas: Schemas) -> list[str]:
    faults = []
    for example in schemas.envelope.schema["examples"]:
        if error := next(schemas.envelope.iter_errors(example), None):
            faults.append(f"envelope: an example does not fit: {error.message}")
    for kind, validator in schemas.payloads.items():
        for number, example in enumerate(validator.schema["examples"], 1):
            if error := next(validator.iter_errors(example), None):
                faults.append(f"{kind}: example {number} does not fit: {error.message}")
    return faults


def _mistakes(schemas: Schemas) -> list[str]:
    faults = []
    sound = schemas.envelope.schema["examples"][0]
    tried = [(_changed(sound, change), change, expected) for change, expected in BROKEN_ENVELOPES]
    for kind, change, expected in BROKEN_PAYLOADS:
        payload = _changed(schemas.payloads[kind].schema["examples"][0], change)
        tried.append((_changed(sound, {"type": kind, "payload": payload}), change, expected))
    lines = [(json.dumps(value).encode(), f"{value.get('type')} with {change}", expected) for value, change, expected in tried]
    lines += [(line, repr(line), expected) for line, expected in BROKEN_LINES]
    for line, mistake, expected in lines:
        reason = schemas.fault(line)
        if reason is None:
            faults.append(f"{mistake}: accepted")
        elif expected not in reason:
            faults.append(f"{mistake}: refused for another reason: {reason}")
    return faults


def _changed(value: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(value) | change
    return {key: part for key, part in changed.items() if part is not GONE}
