"""Reading: dialogs, histories, single messages, search."""

from __future__ import annotations

from itertools import islice
from typing import Any

from botapi.model import Chat, Message

from .. import render
from ..account import SHARED, Account
from ..errors import bad_request
from ..paging import MAX_PAGE, cut, disturbed, limit_of, listed, page
from ..peers import Cast, channel_of, chat_of, peer
from ..rpc import Call, method
from ..search import Found
from ..seeded.history import SeededChat
from ..tl import functions, types, where_known

# The limit up to which unread messages are counted.
MAX_UNREAD = 1000


@method(functions.messages.GetHistoryRequest, bots=False)
def get_history(call: Call, request: Any) -> Any:
    chat = chat_of(call.account, request.peer)
    part = disturbed(call, chat, cut(chat, request, limit_of(request), call.range_of(chat)), request)
    if not isinstance(chat, SeededChat):
        return page(call.account, chat, part, chat.listed_count)
    account, bounds = call.account, (len(part.ids), part.ids[0], part.ids[-1]) if part.ids else ()
    shown = (chat.title, chat.username, len(chat.members), account.sees(chat), chat.is_linked)
    state = (chat.version, account.log_of(chat).pts, account.directory.media.generation)
    return call.core.pages.get(
        (account.id, chat.id, bounds, part.position, shown, state),
        lambda: page(account, chat, part, chat.listed_count),
    )


@method(functions.messages.SearchRequest, bots=False)
def search(call: Call, request: Any) -> Any:
    chat = chat_of(call.account, request.peer)
    found = Found(call.account, chat, request)
    part = cut(found, request, limit_of(request), call.range_of(chat))
    return page(call.account, chat, part, found.listed_count)


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
        elif isinstance(chat, SeededChat):
            cast.add_chat(chat)
            shown += chat.render(account, [identity], cast) or [types.MessageEmpty(identity, peer(chat.id))]
        else:
            shown.append(render.message(account, chat, chat.messages[identity], cast))
    return shown


@method(functions.messages.GetMessagesRequest)
def get_messages(call: Call, request: Any) -> Any:
    account, cast = call.account, Cast(call.account)
    private = [chat for chat in account.chats.values() if chat.type not in SHARED]
    shown = _single(account, private, request.id, cast)
    if call.core.modes.habits.omit_missing:
        shown = [one for one in shown if not isinstance(one, types.MessageEmpty)]
    return listed(types.messages.Messages, shown, cast)


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
