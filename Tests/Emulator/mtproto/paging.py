"""Pages of messages: the part of a list that a request selects, and its form."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from botapi.model import Chat

from . import render
from .account import SHARED, Account
from .peers import Cast
from .seeded.history import SeededChat
from .tl import types, where_known

if TYPE_CHECKING:
    from .rpc import Call

MAX_PAGE = 100
_REPEATED = 3
Range = tuple[int, int]


class Listing(Protocol):
    """A chat, or some of its messages."""

    @property
    def end(self) -> int: ...
    def ids_below(self, message_id: int, skip: int = 0) -> Iterator[int]: ...
    def ids_from(self, message_id: int) -> Iterator[int]: ...
    def count_from(self, message_id: int) -> int: ...
    def first_since(self, date: int) -> int: ...


@dataclass
class Part:
    ids: list[int]
    """The newest first."""
    position: int | None
    """How many messages of the list are newer than the part, where an offset was asked for."""


def limit_of(request: Any) -> int:
    limit: int = min(max(request.limit, 0), MAX_PAGE)
    return limit


def cut(
    listing: Listing, request: Any, limit: int, within: Range | None = None, *, count: bool = True
) -> Part:
    """Select by offset_id, offset_date, add_offset and limit. What min_id and max_id exclude is left out afterwards.

    - Parameter within: the range of invokeWithMessagesRange, which is left out before.
    - Parameter count: whether to tell the position, where that is cheap.
    """
    date = request.offset_date.timestamp() if getattr(request, "offset_date", None) else 0
    start = request.offset_id or (listing.first_since(int(date)) if date > 0 else listing.end)
    if within is not None:
        start = min(start, within[1] + 1)
    is_told = count and bool(request.offset_id)
    position = max((listing.count_from(start) if start < listing.end else 0) + request.add_offset, 0) if is_told else None
    if request.add_offset >= 0:
        chosen = list(islice(listing.ids_below(start, request.add_offset), limit))
    else:
        newer = list(islice(listing.ids_from(start), -request.add_offset))[::-1]
        # A window that reaches beyond the newest message holds so many fewer.
        room = max(limit + request.add_offset + len(newer), 0)
        chosen = [*newer, *islice(listing.ids_below(start), limit)][:room]
    low, high = max(request.min_id, within[0] - 1 if within else 0), request.max_id or 0x7FFFFFFF
    return Part([identity for identity in chosen if low < identity < high], position)


def disturbed(call: Call, chat: Chat, part: Part, request: Any) -> Part:
    """A page of a history as Telegram sometimes gives it; which ones depends on the offset alone."""
    habits = call.core.modes.habits
    if not request.offset_id or request.add_offset or len(part.ids) < 2:
        return part
    if habits.take("history_empty"):
        return replace(part, ids=[])
    luck = zlib.crc32(b"%d/%d" % (chat.id, request.offset_id))
    if luck % 100 < habits.history_short:
        part = replace(part, ids=part.ids[: 1 + luck // 100 % (len(part.ids) - 1)])
    if luck // 10_000 % 100 < habits.history_repeat:
        again = list(islice(chat.ids_from(request.offset_id), _REPEATED))[::-1]
        part = replace(part, ids=[*again, part.ids[0], *part.ids])
    return part


def page(account: Account, chat: Chat, part: Part, total: int, *, inexact: bool = False) -> Any:
    cast = Cast(account)
    cast.add_chat(chat)
    shown = shown_messages(account, chat, part.ids, cast)
    told: dict[str, Any] = {"inexact": inexact or chat.is_inexact or None, "offset_id_offset": part.position}
    if chat.type in SHARED:
        pts = account.log_of(chat).pts
        return types.messages.ChannelMessages(pts, total, shown, [], cast.chats(), cast.users(), **told)
    if len(shown) < total:
        return listed(types.messages.MessagesSlice, shown, cast, count=total, **told)
    return listed(types.messages.Messages, shown, cast)


def shown_messages(account: Account, chat: Chat, ids: list[int], cast: Cast) -> list[Any]:
    if isinstance(chat, SeededChat):
        return chat.render(account, ids, cast)
    return render.messages(account, chat, [chat.messages[identity] for identity in ids], cast)


def listed(kind: type, shown: list[Any], cast: Cast, **more: Any) -> Any:
    more |= where_known(kind, topics=[])
    return kind(messages=shown, chats=cast.chats(), users=cast.users(), **more)
