"""Files that Telegram holds: bytes stored once, and the file_ids by which each bot knows them."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import bad_request

WRONG_FILE = "wrong file identifier/HTTP URL specified"
GET_FILE_MAX_BYTES = 20 * 1024 * 1024

# The first bytes of a real file_id tell its type; these give the well-known beginnings (AgAC…, BAAC…, BQAC…).
_TYPE_BYTES = {"video": 4, "photo": 2, "document": 5, "audio": 9, "voice": 3, "animation": 10, "thumbnail": 2}
_FOLDERS = {
    "video": "videos",
    "photo": "photos",
    "document": "documents",
    "audio": "music",
    "voice": "voice",
    "animation": "animations",
    "thumbnail": "thumbnails",
}


@dataclass(frozen=True)
class Blob:
    sha256: str
    size: int
    path: Path

    @property
    def file_unique_id(self) -> str:
        """The same for the same bytes, whoever has them."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.sha256.encode()).digest()[:12]).decode()


@dataclass
class File:
    """One bot's handle on a blob, of a type that never changes."""

    file_id: str
    bot_id: int
    kind: str
    blob: Blob
    file_name: str | None
    mime_type: str
    attributes: dict[str, Any] = field(default_factory=dict)
    """Holds the values declared at upload: duration, width, height, title, performer."""
    file_path: str = ""
    expired: bool = False


class FileStore:
    def __init__(self, directory: Path, local: bool) -> None:
        self._blobs_directory = directory / "blobs"
        self._served_directory = directory / "served"
        self.incoming_directory = directory / "incoming"
        for folder in (self._blobs_directory, self._served_directory, self.incoming_directory):
            folder.mkdir(parents=True, exist_ok=True)
        self._local = local
        self._blobs: dict[str, Blob] = {}
        self._files: dict[str, File] = {}

    def keep(self, path: Path, sha256: str, size: int) -> Blob:
        """Take over the file at `path`."""
        blob = self._blobs.get(sha256)
        if blob is None:
            blob = Blob(sha256, size, self._blobs_directory / sha256)
            os.replace(path, blob.path)
            self._blobs[sha256] = blob
        return blob

    def keep_copy(self, source: Path) -> Blob:
        """Copy a local file in. Blocks for as long as that takes."""
        target = self.incoming_directory / f"copy-{secrets.token_hex(8)}"
        shutil.copyfile(source, target)
        with target.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        blob = self.keep(target, sha256, target.stat().st_size)
        target.unlink(missing_ok=True)
        return blob

    def issue(
        self, bot_id: int, kind: str, blob: Blob, file_name: str | None, mime_type: str, attributes: dict[str, Any]
    ) -> File:
        """A new file_id for these bytes."""
        head = bytes([_TYPE_BYTES[kind], 0, 2, 2])
        file_id = base64.urlsafe_b64encode(head + secrets.token_bytes(44)).decode()
        file = File(file_id, bot_id, kind, blob, file_name, mime_type, attributes)
        self._files[file_id] = file
        return file

    def known(self, file_id: str) -> File | None:
        return self._files.get(file_id)

    def resolve(self, bot_id: int, file_id: str, kind: str) -> File:
        """The file that a bot sends again by its file_id."""
        file = self._files.get(file_id)
        if file is None:
            raise bad_request(f"wrong remote file identifier specified: {_what_is_wrong(file_id)}")
        if file.bot_id != bot_id or file.expired:
            raise bad_request(WRONG_FILE)
        if file.kind != kind:
            raise bad_request(f"can't use file of type {file.kind.capitalize()} as {kind.capitalize()}")
        return file

    def prepare_download(self, bot_id: int, file_id: str) -> File:
        """The file for getFile, given a path to download it from."""
        file = self._files.get(file_id)
        if file is None:
            raise bad_request("invalid file_id")
        if file.bot_id != bot_id or file.expired:
            raise bad_request("wrong file_id or the file is temporarily unavailable")
        if not self._local and file.blob.size > GET_FILE_MAX_BYTES:
            raise bad_request("file is too big")
        if not file.file_path:
            self._serve(file)
        return file

    def _serve(self, file: File) -> None:
        folder = self._served_directory / str(file.bot_id) / _FOLDERS[file.kind]
        folder.mkdir(parents=True, exist_ok=True)
        suffix = Path(file.file_name or "").suffix or {"photo": ".jpg", "voice": ".oga"}.get(file.kind, "")
        served = folder / f"file_{len(list(folder.iterdir()))}{suffix}"
        os.link(file.blob.path, served)
        file.file_path = str(served) if self._local else f"{folder.name}/{served.name}"

    def served_path(self, bot_id: int, file_path: str) -> Path | None:
        """Returns the path of the bytes of a downloaded file_path; None if this bot was not given such a file_path."""
        # A file that a person sends meanwhile is added by another thread.
        for file in list(self._files.values()):
            if file.bot_id == bot_id and file.file_path == file_path:
                return file.blob.path
        return None

    def blob_by_unique_id(self, file_unique_id: str) -> Blob | None:
        return next((blob for blob in list(self._blobs.values()) if blob.file_unique_id == file_unique_id), None)

    def expire(self, file_ids: list[str] | None) -> int:
        """Refuse these file_ids (all, if None) from now on; returns how many were known."""
        wanted = list(self._files.values()) if file_ids is None else [self._files[i] for i in file_ids if i in self._files]
        for file in wanted:
            file.expired = True
        return len(wanted)


def _what_is_wrong(file_id: str) -> str:
    try:
        decoded = base64.b64decode(file_id, altchars=b"-_", validate=True)
    except ValueError:
        return "Wrong padding in the string" if len(file_id) % 4 else "Wrong character in the string"
    return "can't unserialize it. Wrong last symbol" if len(decoded) >= 8 else "Wrong string length"
