"""Reading: dialogs, histories, single messages, search."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

from botapi.model import Chat, Message

from .. import render
from ..account import SHARED, Account
from ..errors import bad_request
from ..peers import Cast, channel_of, chat_of, peer
from ..rpc import Call, method
from ..seeded.history import SeededChat
from ..tl import functions, types, where_known

MAX_PAGE = 100
# The limit up to which unread messages are counted.
MAX_UNREAD = 1000


@dataclass
class Slice:
    """The part of a list of messages that a request selects."""

    ids: list[int]
    """The newest first."""
    position: int
    """How many messages of the list are newer than the part."""


def cut(chat: Chat, request: Any, limit: int) -> Slice:
    """Select by offset_id, offset_date, add_offset and limit. What min_id and max_id exclude is left out afterwards."""
    date = request.offset_date.timestamp() if getattr(request, "offset_date", None) else 0
    start = request.offset_id or (chat.first_since(int(date)) if date > 0 else chat.end)
    position = (chat.count_from(start) if start < chat.end else 0) + request.add_offset
    if request.add_offset >= 0:
        chosen = list(islice(chat.ids_below(start, request.add_offset), limit))
    else:
        newer = list(islice(chat.ids_from(start), -request.add_offset))[::-1]
        # A window that reaches beyond the newest message holds so many fewer.
        room = max(limit + request.add_offset + len(newer), 0)
        chosen = [*newer, *islice(chat.ids_below(start), limit)][:room]
    return Slice(_between(chosen, request), max(position, 0))


def _between(ids: list[int], request: Any) -> list[int]:
    return [
        identity
        for identity in ids
        if (not request.max_id or identity < request.max_id) and (not request.min_id or identity > request.min_id)
    ]


def page(account: Account, chat: Chat, part: Slice, total: int, *, offset_told: bool = False) -> Any:
    cast = Cast(account)
    cast.add_chat(chat)
    shown = shown_messages(account, chat, part.ids, cast)
    told = {"offset_id_offset": part.position} if offset_told else {}
    if chat.type in SHARED:
        return types.messages.ChannelMessages(
            account.log_of(chat).pts, total, shown, [], cast.chats(), cast.users(), inexact=chat.is_inexact or None, **told
        )
    if len(part.ids) < total:
        return _listed(types.messages.MessagesSlice, shown, cast, count=total, inexact=chat.is_inexact or None, **told)
    return _listed(types.messages.Messages, shown, cast)


def shown_messages(account: Account, chat: Chat, ids: list[int], cast: Cast) -> list[Any]:
    if isinstance(chat, SeededChat):
        return chat.render(account, [identity for identity in ids if identity in chat.alive], cast)
    return render.messages(account, chat, [chat.messages[identity] for identity in ids], cast)


def _listed(kind: type, shown: list[Any], cast: Cast, **more: Any) -> Any:
    more |= where_known(kind, topics=[])
    return kind(messages=shown, chats=cast.chats(), users=cast.users(), **more)


@method(functions.messages.GetHistoryRequest, bots=False)
def get_history(call: Call, request: Any) -> Any:
    chat = chat_of(call.account, request.peer)
    part = cut(chat, request, min(max(request.limit, 0), MAX_PAGE))
    return page(call.account, chat, part, chat.listed_count, offset_told=bool(request.offset_id))


@method(functions.messages.SearchRequest, bots=False)
def search(call: Call, request: Any) -> Any:
    chat = chat_of(call.account, request.peer)
    wanted = request.q.lower()
    kinds = {types.InputMessagesFilterPhotos: ("photo",), types.InputMessagesFilterVideo: ("video",),
             types.InputMessagesFilterDocument: ("document",), types.InputMessagesFilterMusic: ("audio",)}  # fmt: skip
    media = kinds.get(type(request.filter))
    matching = Chat(chat.id, chat.type)
    for item in chat.visible_from(0):
        text = str(item.body.get("text", item.body.get("caption", ""))).lower()
        if wanted in text and (media is None or any(kind in item.body for kind in media)):
            matching.add(item)
    part = cut(matching, request, min(max(request.limit, 0), MAX_PAGE))
    return page(call.account, chat, part, len(matching.ids))


def _asked(chats: list[Chat], given: Any) -> tuple[int, Chat | None]:
    """The id that is meant, and the chat it is in: the message itself, or the one that it replies to."""
    if not isinstance(given, (types.InputMessageID, types.InputMessageReplyTo)):
        raise bad_request("MSG_ID_INVALID")
    identity = int(given.id)
    chat = next((chat for chat in chats if identity in chat.messages), None)
    if chat is not None and isinstance(given, types.InputMessageReplyTo):
        target = chat.messages[identity].body.get("reply_to_message")
        return (int(target["message_id"]), chat) if target else (identity, None)
    return identity, chat


def _single(account: Account, chats: list[Chat], asked: list[Any], cast: Cast) -> list[Any]:
    shown = []
    for given in asked[:MAX_PAGE]:
        identity, chat = _asked(chats, given)
        if chat is None:
            shown.append(types.MessageEmpty(identity, None))
        else:
            shown.append(render.message(account, chat, chat.messages[identity], cast))
    return shown


@method(functions.messages.GetMessagesRequest)
def get_messages(call: Call, request: Any) -> Any:
    account, cast = call.account, Cast(call.account)
    private = [chat for chat in account.chats.values() if chat.type not in SHARED]
    return _listed(types.messages.Messages, _single(account, private, request.id, cast), cast)


@method(functions.channels.GetMessagesRequest)
def get_channel_messages(call: Call, request: Any) -> Any:
    account, chat = call.account, channel_of(call.account, request.channel)
    cast = Cast(account)
    cast.add_chat(chat)
    shown = _single(account, [chat], request.id, cast)
    pts = account.log_of(chat).pts
    return types.messages.ChannelMessages(pts, len(shown), shown, [], cast.chats(), cast.users())


@method(functions.messages.GetDialogsRequest, bots=False)
def get_dialogs(call: Call, request: Any) -> Any:
    account = call.account
    if request.folder_id:
        return types.messages.Dialogs([], [], [], [])
    # Groups and channels stay in the list when they are empty.
    found = [(chat, chat.newest) for chat in account.chats.values()]
    tops = sorted((one for one in found if one[1] or one[0].id < 0), key=_age_of_top, reverse=True)
    start = 0
    date = request.offset_date.timestamp() if request.offset_date else 0
    if request.offset_id or date > 0:
        start = next((n for n, top in enumerate(tops) if _age_of_top(top) < (date, request.offset_id)), len(tops))
    chosen = tops[start : start + min(max(request.limit, 1), MAX_PAGE)]
    cast = Cast(account)
    dialogs = [dialog(account, chat, top) for chat, top in chosen]
    shown = [render.message(account, chat, top, cast) for chat, top in chosen if top is not None]
    for chat, _ in chosen:
        cast.add_chat(chat)
    if len(chosen) < len(tops):
        return types.messages.DialogsSlice(len(tops), dialogs, shown, cast.chats(), cast.users())
    return types.messages.Dialogs(dialogs, shown, cast.chats(), cast.users())


def _age_of_top(top: tuple[Chat, Message | None]) -> tuple[int, int]:
    return (top[1].body["date"], top[1].id) if top[1] is not None else (0, 0)


def dialog(account: Account, chat: Chat, top: Message | None) -> Any:
    read_to = account.read_to.get(chat.id, 0)
    newest = islice(chat.visible_below(chat.end), MAX_UNREAD)
    unread = sum(message.id > read_to and not account.is_own(message) for message in newest)
    return types.Dialog(
        peer=peer(chat.id), top_message=top.id if top else 0, read_inbox_max_id=read_to,
        read_outbox_max_id=account.read_by_others_to.get(chat.id, 0), unread_count=unread, unread_mentions_count=0,
        unread_reactions_count=0, notify_settings=types.PeerNotifySettings(),
        pts=account.log_of(chat).pts if chat.type in SHARED else None,
        **where_known(types.Dialog, unread_poll_votes_count=0),
    )  # fmt: skip


@method(functions.messages.GetPeerDialogsRequest, bots=False)
def get_peer_dialogs(call: Call, request: Any) -> Any:
    account, cast = call.account, Cast(call.account)
    dialogs, shown = [], []
    for given in request.peers:
        chat = chat_of(account, getattr(given, "peer", given))
        if chat.newest is not None:
            dialogs.append(dialog(account, chat, chat.newest))
            shown.append(render.message(account, chat, chat.newest, cast))
    state = types.updates.State(account.log.pts, account.qts, int(call.core.clock.now()), account.seq, 0)
    return types.messages.PeerDialogs(dialogs, shown, cast.chats(), cast.users(), state)


@method(functions.messages.GetPinnedDialogsRequest, bots=False)
def get_pinned_dialogs(call: Call, request: Any) -> Any:
    state = types.updates.State(call.account.log.pts, call.account.qts, int(call.core.clock.now()), call.account.seq, 0)
    return types.messages.PeerDialogs([], [], [], [], state)
