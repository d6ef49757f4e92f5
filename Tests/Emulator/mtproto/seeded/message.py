"""One message of a seeded history, as an object for the code that works with any message."""

from __future__ import annotations

from typing import Any

from botapi.model import Message


class SeededMessage(Message):
    """Its body tells less than the bytes that readers get."""

    def __init__(self, body: dict[str, Any], deleted: bool) -> None:
        super().__init__(body, by_bot=False, deleted=deleted, sent_at=float(body["date"]))
        self.original = dict(body)

    @property
    def is_changed(self) -> bool:
        return self.body != self.original or bool(self.reactions)
