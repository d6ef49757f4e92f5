"""Files as accounts know them: ids, access hashes, and file references that expire."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botapi.filestore import File, FileStore

from .errors import bad_request
from .tl import types

if TYPE_CHECKING:
    from .account import Account
    from .directory import Directory

PHOTO_SIZE = "y"
REFERENCE_BYTES = 25


@dataclass
class Medium:
    """A file that was sent at least once."""

    id: int
    file: File
    dc: int
    date: int
    epoch: int = 0
    """Counts up when references to it are made to expire."""
    cdn_token: bytes | None = None

    @property
    def is_photo(self) -> bool:
        return self.file.kind == "photo"

    @property
    def path(self) -> Path:
        return self.file.blob.path

    @property
    def size(self) -> int:
        return self.file.blob.size


class MediaTable:
    def __init__(self, files: FileStore, directory: Directory) -> None:
        self.files = files
        self._directory = directory
        self._by_id: dict[int, Medium] = {}
        self._by_token: dict[bytes, Medium] = {}
        self.generation = 0
        """Counts up when references are made to expire."""

    def medium(self, file_id: str, dc: int) -> Medium:
        """Returns the medium of a file_id in a message's body. A file that was not seen before is kept at `dc`."""
        identity = int.from_bytes(hashlib.sha256(file_id.encode()).digest()[:8], "little") >> 1
        medium = self._by_id.get(identity)
        if medium is None:
            file = self.files.known(file_id)
            if file is None:
                raise KeyError(file_id)
            dc = int(file.attributes.get("dc", dc))
            medium = self._by_id[identity] = Medium(identity, file, dc, int(time.time()))
        return medium

    def adopt(self, medium: Medium) -> Medium:
        """Take in a medium that no message brought."""
        self._by_id[medium.id] = medium
        return medium

    def reference(self, account: Account, medium: Medium, origin: tuple[int, int]) -> bytes:
        """A file reference, made of the message it was found in: (chat, message)."""
        head = bytes([1]) + medium.epoch.to_bytes(4, "big") + (abs(origin[0]) % (1 << 31)).to_bytes(4, "big")
        return head + self._directory.proof(account, "reference", medium.id, head.hex())[:16]

    def check(self, account: Account, identity: int, access_hash: int, reference: bytes) -> Medium:
        """- Raises RpcError: not this account's file, or a reference that is empty, wrong or expired."""
        medium = self._by_id.get(identity)
        if medium is None or access_hash != self._directory.hash_for(account, "file", identity):
            raise bad_request("FILE_ID_INVALID")
        if not reference:
            raise bad_request("FILE_REFERENCE_EMPTY")
        if len(reference) != REFERENCE_BYTES or reference[0] != 1:
            raise bad_request("FILE_REFERENCE_INVALID")
        proof = self._directory.proof(account, "reference", medium.id, reference[:9].hex())[:16]
        if proof != reference[9:]:
            raise bad_request("FILE_REFERENCE_INVALID")
        if int.from_bytes(reference[1:5], "big") != medium.epoch:
            raise bad_request("FILE_REFERENCE_EXPIRED")
        return medium

    def expire(self, account: Account | None = None) -> int:
        """Expire all file references issued so far."""
        self.generation += 1
        for medium in self._by_id.values():
            medium.epoch += 1
        return len(self._by_id)

    def token(self, medium: Medium) -> bytes:
        """Returns the token by which the CDN identifies the file."""
        if medium.cdn_token is None:
            medium.cdn_token = hashlib.sha256(f"cdn/{medium.id}".encode()).digest()
            self._by_token[medium.cdn_token] = medium
        return medium.cdn_token

    def by_token(self, token: bytes) -> Medium | None:
        return self._by_token.get(token)

    def media(self, account: Account, body: dict[str, Any], origin: tuple[int, int]) -> Any:
        """The MessageMedia of a message's body, None if it has none."""
        from botapi.content import MEDIA_KINDS  # the order of kinds matters: an animation is a document, too

        kind = next((kind for kind in MEDIA_KINDS if kind in body), None)
        if kind is None:
            return None
        item = body[kind][0] if kind == "photo" else body[kind]
        medium = self.medium(item["file_id"], account.dc)
        if medium.is_photo:
            return types.MessageMediaPhoto(photo=self.photo(account, medium, origin))
        return types.MessageMediaDocument(
            document=self.document(account, medium, origin), video=kind == "video" or None,
            voice=kind == "voice" or None,
        )  # fmt: skip

    def photo(self, account: Account, medium: Medium, origin: tuple[int, int]) -> Any:
        width, height = (int(medium.file.attributes.get(name, 0)) for name in ("width", "height"))
        return types.Photo(
            medium.id, self._directory.hash_for(account, "file", medium.id), self.reference(account, medium, origin),
            medium.date, [types.PhotoSize(PHOTO_SIZE, width, height, medium.size)], medium.dc,
        )  # fmt: skip

    def document(self, account: Account, medium: Medium, origin: tuple[int, int]) -> Any:
        return types.Document(
            medium.id, self._directory.hash_for(account, "file", medium.id), self.reference(account, medium, origin),
            medium.date, medium.file.mime_type, medium.size, medium.dc, _attributes(medium.file),
        )  # fmt: skip


def _attributes(file: File) -> list[Any]:
    given = file.attributes
    found: list[Any] = []
    if file.kind in ("video", "animation"):
        found.append(types.DocumentAttributeVideo(
            float(given.get("duration", 0)), int(given.get("width", 0)), int(given.get("height", 0)),
            supports_streaming=bool(given.get("supports_streaming")) or None,
        ))  # fmt: skip
    if file.kind == "animation":
        found.append(types.DocumentAttributeAnimated())
    if file.kind in ("audio", "voice"):
        found.append(types.DocumentAttributeAudio(
            int(given.get("duration", 0)), voice=file.kind == "voice" or None, title=given.get("title"),
            performer=given.get("performer"),
        ))  # fmt: skip
    if file.file_name:
        found.append(types.DocumentAttributeFilename(file.file_name))
    return found
