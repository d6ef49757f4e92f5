"""Tells what a reader must have stored of a seeded history: rows, their SHA-256, and a digest of the ids."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from botapi.errors import ControlError

from .history import SeededChat, shown_text
from .message import SeededMessage
from .templates import (
    ALBUM, COMMENTS, DATE, EDITED, FORWARDS, FWD_DATE, FWD_POST, SENDER, TOPIC, VIEWS,
)  # fmt: skip

if TYPE_CHECKING:
    from ..account import Account

COLUMNS = (
    "chat_id", "message_id", "date", "edit_date", "sender_id", "text", "reply_to_id", "topic_id", "album_id", "views",
    "forwards", "replies", "forward_date", "forward_from_id", "forward_message_id",
)  # fmt: skip
ANONYMOUS_ADMIN, CHANNEL_BOT = 1_087_968_824, 136_817_688
"""The users that the Bot API shows where the group itself, or a channel, has written in a group."""
BREATH = 500
_MASK = (1 << 64) - 1
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
Row = tuple[Any, ...]


def row(chat: SeededChat, account: Account, message_id: int) -> Row:
    """The values of COLUMNS, None where there is none; the text is empty if there is none."""
    written = chat.written(message_id)
    if written is not None and not isinstance(written, SeededMessage):
        return _written_row(chat, written.body)
    template, values, version = chat.composed(chat.workshop(account), message_id)
    fields = template.fields
    edited = values[EDITED] if EDITED in fields else None
    text = shown_text(template, message_id, version)
    if written is not None and written.is_changed:
        text, edited = str(written.body.get("text", "")), written.body.get("edit_date", edited)
    return (
        chat.id, message_id, values[DATE], edited, _sender(chat, template.sender or values[SENDER]), text,
        values[template.reply] if template.reply is not None else None,
        values[TOPIC] if template.topic is not None and chat.script.topics else None,
        values[ALBUM] if ALBUM in fields else None,
        values[VIEWS] if VIEWS in fields else None,
        values[FORWARDS] if FORWARDS in fields else None,
        values[COMMENTS] if COMMENTS in fields else None,
        values[FWD_DATE] if FWD_DATE in fields else None,
        template.forwarded_from,
        values[FWD_POST] if FWD_POST in fields else None,
    )  # fmt: skip


def _sender(chat: SeededChat, sender: int) -> int:
    if sender > 0 or chat.type == "channel":
        return sender
    return ANONYMOUS_ADMIN if sender == chat.id else CHANNEL_BOT


def _written_row(chat: SeededChat, body: dict[str, Any]) -> Row:
    is_post = chat.type == "channel"
    sender = chat.id if is_post else body.get("from", {}).get("id")
    album, origin = body.get("media_group_id"), body.get("forward_origin", {})
    return (
        chat.id, body["message_id"], body["date"], body.get("edit_date"), sender,
        str(body.get("text", body.get("caption", ""))), body.get("reply_to_message", {}).get("message_id"),
        body.get("message_thread_id"), int(album) if album is not None else None,
        1 if is_post else None, 0 if is_post else None, None, origin.get("date"),
        origin.get("sender_user", origin.get("chat", {})).get("id"), origin.get("message_id"),
    )  # fmt: skip


def line(values: Row, places: list[int]) -> str:
    """The form of PostgreSQL's `COPY … TO STDOUT`: tabs between the values, `\\N` for null."""
    return "\t".join("\\N" if values[n] is None else str(values[n]).translate(_ESCAPES) for n in places) + "\n"


def places_of(names: str | None) -> list[int]:
    wanted = names.split(",") if names else list(COLUMNS)
    for name in wanted:
        if name not in COLUMNS:
            raise ControlError(f"there is no column {name!r}; known are {', '.join(COLUMNS)}")
    return [COLUMNS.index(name) for name in wanted]


def splitmix64(number: int) -> int:
    mixed = (number + 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & _MASK
    return mixed ^ mixed >> 31


def ids_in(chat: SeededChat, low: int, high: int) -> Iterator[int]:
    for message_id in chat.alive.above(low):
        if message_id > high:
            return
        yield message_id


async def lines(chat: SeededChat, account: Account, low: int, high: int, places: list[int]) -> AsyncIterator[str]:
    for count, message_id in enumerate(ids_in(chat, low, high)):
        if count % BREATH == BREATH - 1:
            await asyncio.sleep(0)
        yield line(row(chat, account, message_id), places)


async def digest(chat: SeededChat, account: Account, low: int, high: int, places: list[int]) -> dict[str, Any]:
    """Count, ids and contents of the messages from `low` to `high`, both included.

    A change meanwhile gives a mixture: ask when nothing changes.
    """
    count, total, first, last = 0, 0, None, None
    hashed = hashlib.sha256()
    for message_id in ids_in(chat, low, high):
        hashed.update(line(row(chat, account, message_id), places).encode())
        total += splitmix64(message_id)
        first, last, count = message_id if first is None else first, message_id, count + 1
        if count % BREATH == 0:
            await asyncio.sleep(0)
    return {
        "count": count, "first_id": first, "last_id": last, "checksum": f"{total & _MASK:016x}",
        "sha256": hashed.hexdigest(), "columns": [COLUMNS[n] for n in places],
    }  # fmt: skip


def runs(chat: SeededChat, low: int, high: int) -> list[list[int]]:
    """The existing ids as ranges, both ends included."""
    found: list[list[int]] = []
    for message_id in ids_in(chat, low, high):
        if found and found[-1][1] == message_id - 1:
            found[-1][1] = message_id
        else:
            found.append([message_id, message_id])
    return found
