"""Parts of files on their way in."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from botapi.filestore import Blob, FileStore

from .account import Account
from .errors import bad_request

PART_BYTES = 512 * 1024
BIG_ABOVE_BYTES = 10 * 1024 * 1024
MAX_PARTS, MAX_PARTS_PREMIUM = 4000, 8000


@dataclass
class Upload:
    directory: Path
    is_big: bool
    total_parts: int | None
    sizes: dict[int, int] = field(default_factory=dict)
    blob: Blob | None = None

    @property
    def full_size(self) -> int:
        """The size of every part but the last."""
        return max(self.sizes.values(), default=0)


class Uploads:
    """Kept by account, file and data centre: the parts have to be where the message is sent."""

    def __init__(self, files: FileStore) -> None:
        self._files = files
        self._uploads: dict[tuple[int, int, int], Upload] = {}

    def save(self, account: Account, dc: int, file_id: int, part: int, data: bytes, total: int | None) -> None:
        """- Parameter total: None for a small file. -1 if the client does not know yet how many there will be."""
        most = MAX_PARTS_PREMIUM if account.identity.premium else MAX_PARTS
        if total is not None and total != -1 and not 0 < total <= most:
            raise bad_request("FILE_PARTS_INVALID")
        if not 0 <= part < (total if total and total > 0 else most):
            raise bad_request("FILE_PART_INVALID")
        if not data:
            raise bad_request("FILE_PART_EMPTY")
        if len(data) > PART_BYTES:
            raise bad_request("FILE_PART_TOO_BIG")
        key = (account.id, dc, file_id)
        upload = self._uploads.get(key)
        if upload is None or upload.blob is not None or upload.is_big is (total is None):
            name = f"upload-{account.id}-{dc}-{file_id & (1 << 64) - 1:x}"
            upload = Upload(self._files.incoming_directory / name, total is not None, total)
        self._check_size(upload, part, len(data), total)
        if self._uploads.get(key) is not upload:
            shutil.rmtree(upload.directory, ignore_errors=True)
            upload.directory.mkdir()
            self._uploads[key] = upload
        upload.total_parts = total
        (upload.directory / str(part)).write_bytes(data)
        upload.sizes[part] = len(data)

    @staticmethod
    def _check_size(upload: Upload, part: int, size: int, total: int | None) -> None:
        if upload.total_parts not in (None, -1) and total != upload.total_parts:
            raise bad_request("FILE_PARTS_INVALID")
        is_last = total is not None and part == total - 1
        if not is_last and total is not None and (size % 1024 or PART_BYTES % size):
            raise bad_request("FILE_PART_SIZE_INVALID")
        others = {other: length for other, length in upload.sizes.items() if other != part}
        if total is not None and not is_last and others and size != max(others.values()):
            raise bad_request("FILE_PART_SIZE_CHANGED")
        if total is None and part * max(upload.full_size, 1024) > BIG_ABOVE_BYTES:
            raise bad_request("FILE_PART_INVALID")

    async def assemble(self, account: Account, dc: int, given: object) -> Blob:
        """The file of an InputFile or InputFileBig.

        - Raises RpcError: a part is missing or of a wrong size, or the checksum is wrong.
        """
        file_id, parts = int(getattr(given, "id", 0)), int(getattr(given, "parts", 0))
        checksum = getattr(given, "md5_checksum", None)
        upload = self._uploads.get((account.id, dc, file_id))
        if upload is None or upload.is_big is not (checksum is None):
            raise bad_request("FILE_PARTS_INVALID" if upload is not None else "FILE_PART_0_MISSING")
        if upload.blob is not None:
            return upload.blob
        if not 0 < parts <= MAX_PARTS_PREMIUM or (upload.total_parts or parts) not in (parts, -1):
            raise bad_request("FILE_PARTS_INVALID")
        missing = next((part for part in range(parts) if part not in upload.sizes), None)
        if missing is not None:
            raise bad_request(f"FILE_PART_{missing}_MISSING")
        full = upload.sizes[0]
        wrong = any(upload.sizes[part] != full for part in range(parts - 1)) or upload.sizes[parts - 1] > full
        if wrong or (parts > 1 and (full % 1024 or PART_BYTES % full)):
            raise bad_request("FILE_PART_SIZE_INVALID")
        size = sum(upload.sizes[part] for part in range(parts))
        if upload.is_big is not (size > BIG_ABOVE_BYTES):
            raise bad_request("FILE_PARTS_INVALID")
        blob = await asyncio.to_thread(self._join, upload, parts, checksum)
        upload.blob = blob
        return blob

    def _join(self, upload: Upload, parts: int, checksum: str | None) -> Blob:
        md5 = hashlib.md5(usedforsecurity=False) if checksum else None
        sha = hashlib.sha256()
        target = upload.directory.with_suffix(".whole")
        with target.open("wb") as whole:
            for part in range(parts):
                data = (upload.directory / str(part)).read_bytes()
                if md5 is not None:
                    md5.update(data)
                sha.update(data)
                whole.write(data)
        if checksum and md5 is not None and md5.hexdigest() != checksum.lower():
            os.unlink(target)
            raise bad_request("MD5_CHECKSUM_INVALID")
        shutil.rmtree(upload.directory, ignore_errors=True)
        blob = self._files.keep(target, sha.hexdigest(), target.stat().st_size)
        target.unlink(missing_ok=True)
        return blob

    def lose(self, parts: list[int] | None) -> int:
        """Forget parts that were saved (all, if None), as Telegram does after some hours."""
        lost = 0
        for upload in self._uploads.values():
            for part in list(upload.sizes) if parts is None else parts:
                lost += upload.sizes.pop(part, None) is not None
        return lost
