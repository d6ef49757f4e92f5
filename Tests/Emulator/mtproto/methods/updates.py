"""Missed updates: the state of an account and of its channels, and the differences."""

from __future__ import annotations

import itertools
from typing import Any

from botapi.model import Chat

from .. import render
from ..account import SHARED, Account
from ..changes import Change
from ..errors import bad_request
from ..peers import Cast, channel_id, channel_of
from ..rpc import Call, method
from ..tl import functions, types
from .history import dialog

CHANNEL_LIMIT, CHANNEL_LIMIT_BOTS = (1, 100), (1, 100_000)
TOO_LONG_PAGE = 20


def state(call: Call, account: Account, pts: int | None = None) -> Any:
    return types.updates.State(
        account.log.pts if pts is None else pts, account.qts, int(call.core.clock.now()), account.seq, 0
    )


@method(functions.updates.GetStateRequest)
def get_state(call: Call, request: Any) -> Any:
    return state(call, call.account)


@method(functions.updates.GetDifferenceRequest)
def get_difference(call: Call, request: Any) -> Any:
    account, habits = call.account, call.core.modes.habits
    if request.pts < 0:
        raise bad_request("PERSISTENT_TIMESTAMP_INVALID")
    if request.pts_total_limit is not None and request.pts_total_limit <= 0:
        raise bad_request("PERSISTENT_TIMESTAMP_INVALID")
    if request.pts > account.log.pts:
        raise bad_request("PERSISTENT_TIMESTAMP_INVALID")
    missing = account.log.since(request.pts)
    total = request.pts_total_limit
    if habits.take("difference_too_long") or request.pts < account.log.oldest_pts or (total and len(missing) > total):
        return types.updates.DifferenceTooLong(account.log.pts)
    limit = min(habits.difference_limit, request.pts_limit or habits.difference_limit)
    part = missing[: max(limit, 1)]
    # A negative qts, which some clients send, stands for no interest.
    secret = [message for qts, message in account.secret_messages if qts > request.qts >= 0]
    is_last = len(part) == len(missing)
    date = request.date.timestamp() if request.date else 0
    call.core.journal.delivered(account.id, part, "difference")
    cast = Cast(account)
    other = _channel_hints(account, date) if is_last else []
    messages, changed = split(account, account.chats, part, cast)
    if not messages and not changed and not other and not secret:
        return types.updates.DifferenceEmpty(int(call.core.clock.now()), account.seq)
    shown = (messages, secret if is_last else [], changed + other)
    for hint in other:
        cast.add_shared(channel_id(hint.channel_id))
    if is_last:
        return types.updates.Difference(*shown, cast.chats(), cast.users(), state(call, account))
    return types.updates.DifferenceSlice(*shown, cast.chats(), cast.users(), state(call, account, part[-1].pts))


def _channel_hints(account: Account, date: float) -> list[Any]:
    """Channels where something happened since: their own difference has to be asked for."""
    found = []
    for chat in account.chats.values():
        log = account.log_of(chat)
        if chat.type in SHARED and log.last_at() >= int(date):
            found.append(types.UpdateChannelTooLong(channel_id(chat.id), log.pts))
    return found


def split(account: Account, chats: dict[int, Chat], changes: list[Change], cast: Cast) -> tuple[list[Any], list[Any]]:
    """New messages, and the other updates."""
    messages, other = [], []
    for change in changes:
        chat = chats.get(change.chat_id)
        if chat is None:
            continue
        if change.kind == "new":
            if _exists(chat, change.message_ids[0]):
                messages.append(render.message(account, chat, chat.messages[change.message_ids[0]], cast))
            if change.sender == account.id and change.random_id is not None:
                other.append(types.UpdateMessageID(change.message_ids[0], change.random_id))
        elif change.kind != "edit" or _exists(chat, change.message_ids[0]):
            other.append(render.change(account, chat, change, cast))
    return messages, other


def _exists(chat: Chat, message_id: int) -> bool:
    # A seeded chat keeps nothing of a message that was deleted.
    message = chat.messages.get(message_id)
    return message is not None and not message.deleted


@method(functions.updates.GetChannelDifferenceRequest)
def get_channel_difference(call: Call, request: Any) -> Any:
    account, habits = call.account, call.core.modes.habits
    chat = channel_of(account, request.channel)
    if not account.sees(chat):
        raise bad_request("CHANNEL_PRIVATE")
    log = account.log_of(chat)
    low, high = CHANNEL_LIMIT_BOTS if account.is_bot else CHANNEL_LIMIT
    if request.limit < low:
        raise bad_request("LIMIT_INVALID")
    if request.pts <= 0:
        raise bad_request("PERSISTENT_TIMESTAMP_EMPTY")
    if request.pts > log.pts:
        raise bad_request("PERSISTENT_TIMESTAMP_INVALID")
    missing = log.since(request.pts)
    if not missing and request.pts >= log.oldest_pts and not habits.channel_too_long:
        return types.updates.ChannelDifferenceEmpty(log.pts, final=True, timeout=30)
    is_too_long = len(missing) > habits.channel_too_long_above or request.pts < log.oldest_pts
    if habits.take("channel_too_long") or is_too_long:
        return _too_long(account, chat)
    part = missing[: min(request.limit, high)]
    call.core.journal.delivered(account.id, part, "difference")
    cast = Cast(account)
    cast.add_chat(chat)
    messages, other = split(account, {chat.id: chat}, part, cast)
    is_final = len(part) == len(missing)
    return types.updates.ChannelDifference(
        part[-1].pts, messages, other, cast.chats(), cast.users(), final=is_final or None,
        timeout=30 if is_final else None,
    )  # fmt: skip


def _too_long(account: Account, chat: Chat) -> Any:
    newest = list(itertools.islice(chat.visible_below(chat.end), TOO_LONG_PAGE))
    cast = Cast(account)
    cast.add_chat(chat)
    shown = render.messages(account, chat, newest, cast)
    listed = dialog(account, chat, newest[0] if newest else None)
    return types.updates.ChannelDifferenceTooLong(listed, shown, cast.chats(), cast.users(), final=True, timeout=30)
