"""The few small files that the messages of seeded histories share; they can be downloaded."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING, Any

from botapi.filestore import File

from ..media import Medium
from ..tl import types

if TYPE_CHECKING:
    from ..account import Account
    from ..directory import Directory

_MADE_AT = 1_600_000_000
_EACH = 6
_MIME = {
    "photo": "image/jpeg", "video": "video/mp4", "animation": "video/mp4", "audio": "audio/mpeg", "voice": "audio/ogg",
    "document": "application/pdf",
}  # fmt: skip
_NAMES = {"video": "clip.mp4", "animation": "loop.mp4", "audio": "song.mp3", "document": "paper.pdf"}


class Library:
    KINDS = frozenset(_MIME)

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._media: dict[tuple[str, int], Medium] = {}

    def media(self, account: Account, kind: str, chance: random.Random, chat_id: int) -> Any:
        medium = self._medium(kind, chance.randrange(_EACH))
        table, origin = self._directory.media, (chat_id, 0)
        if kind == "photo":
            return types.MessageMediaPhoto(photo=table.photo(account, medium, origin))
        return types.MessageMediaDocument(
            document=table.document(account, medium, origin), video=kind == "video" or None,
            voice=kind == "voice" or None,
        )  # fmt: skip

    def _medium(self, kind: str, number: int) -> Medium:
        known = self._media.get((kind, number))
        if known is None:
            known = self._media[kind, number] = self._make(kind, number)
        return known

    def _make(self, kind: str, number: int) -> Medium:
        files = self._directory.media.files
        content = f"seeded {kind} {number}\n".encode() * (40 + 10 * number)
        digest = hashlib.sha256(content).hexdigest()
        path = files.incoming_directory / f"seeded-{kind}-{number}"
        path.write_bytes(content)
        blob = files.keep(path, digest, len(content))
        attributes = {"width": 640, "height": 480, "duration": 5 + number, "title": f"Song {number}"}
        file = File(f"seeded-{kind}-{number}", 0, kind, blob, _NAMES.get(kind), _MIME[kind], attributes)
        identity = int.from_bytes(hashlib.sha256(f"seeded/{kind}/{number}".encode()).digest()[:8], "little") >> 1
        return self._directory.media.adopt(Medium(identity, file, 2, _MADE_AT))
