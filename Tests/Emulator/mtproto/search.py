"""Messages of a chat that a search or a thread selects, as a list that pages are cut from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from botapi.model import Chat

from .account import Account
from .peers import user_of
from .seeded.history import SeededChat
from .tl import types

if TYPE_CHECKING:
    from botapi.model import Message

SEARCHED = 100_000
"""The newest messages of a chat that a search looks at."""
_KINDS: dict[Any, tuple[str, ...]] = {
    types.InputMessagesFilterPhotos: ("photo",), types.InputMessagesFilterVideo: ("video",),
    types.InputMessagesFilterDocument: ("document",), types.InputMessagesFilterMusic: ("audio",),
    types.InputMessagesFilterVoice: ("voice",), types.InputMessagesFilterGif: ("animation",),
    types.InputMessagesFilterPhotoVideo: ("photo", "video"), types.InputMessagesFilterUrl: ("web_page",),
    types.InputMessagesFilterGeo: ("geo", "venue"), types.InputMessagesFilterContacts: ("contact",),
}  # fmt: skip


class Selection:
    """Those messages of a chat that fit."""

    def __init__(self, chat: Chat, fits: Callable[[int], bool], lowest: int = 0) -> None:
        self._chat, self._fits, self._lowest = chat, fits, lowest

    @property
    def end(self) -> int:
        return self._chat.end

    def ids_below(self, message_id: int, skip: int = 0) -> Iterator[int]:
        return islice(self._below(message_id), skip, None)

    def _below(self, message_id: int) -> Iterator[int]:
        for identity in self._chat.ids_below(message_id):
            if identity < self._lowest:
                return
            if self._fits(identity):
                yield identity

    def ids_from(self, message_id: int) -> Iterator[int]:
        return filter(self._fits, self._chat.ids_from(max(message_id, self._lowest)))

    def count_from(self, message_id: int) -> int:
        return sum(1 for _ in self.ids_from(message_id))

    def first_since(self, date: int) -> int:
        return self._chat.first_since(date)


class Comments:
    """The comments on one post: few, and near each other but for those that were written since."""

    def __init__(self, chat: SeededChat, top: int) -> None:
        self._chat, self._ids = chat, list(chat.comments(top))

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def end(self) -> int:
        return self._chat.end

    def ids_below(self, message_id: int, skip: int = 0) -> Iterator[int]:
        return islice((identity for identity in self._ids if identity < message_id), skip, None)

    def ids_from(self, message_id: int) -> Iterator[int]:
        return (identity for identity in reversed(self._ids) if identity >= message_id)

    def count_from(self, message_id: int) -> int:
        return sum(identity >= message_id for identity in self._ids)

    def first_since(self, date: int) -> int:
        return self._chat.first_since(date)


class Found(Selection):
    """The messages that a search finds."""

    def __init__(self, account: Account, chat: Chat, request: Any) -> None:
        oldest = next(chat.ids_below(chat.end, SEARCHED), 0)
        super().__init__(chat, self._matches, oldest)
        self._account = account
        self._words, self._media = request.q.lower(), _KINDS.get(type(request.filter))
        self._sender = user_of(account, request.from_id)["id"] if request.from_id is not None else None
        self._thread = getattr(request, "top_msg_id", None)
        self._since = request.min_date.timestamp() if request.min_date else 0
        self._until = request.max_date.timestamp() if request.max_date else 0
        self.listed_count = self.count_from(0)

    def _matches(self, identity: int) -> bool:
        chat = self._chat
        if isinstance(chat, SeededChat):
            text, kinds, sender, date, thread = chat.facts(self._account, identity)
        else:
            text, kinds, sender, date, thread = _facts(chat.messages[identity])
        return (
            self._words in text.lower() and (self._media is None or any(kind in kinds for kind in self._media))
            and self._sender in (None, sender) and self._since <= date and not 0 < self._until < date
            and self._thread in (None, 0, thread)
        )  # fmt: skip


def _facts(message: Message) -> tuple[str, Any, int | None, int, int | None]:
    body = message.body
    text = str(body.get("text", body.get("caption", "")))
    return text, body, body.get("from", {}).get("id"), body["date"], body.get("message_thread_id")
