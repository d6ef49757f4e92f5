"""Users, user names, groups and channels."""

from __future__ import annotations

import re
from typing import Any

from botapi.model import Chat

from ..account import SHARED
from ..changes import Change
from ..errors import RpcError, bad_request
from ..peers import Cast, channel_id, channel_of, chat_of, peer, show_chat, show_user, user_of
from ..rpc import Call, method
from ..seeded.history import SeededChat
from ..tl import functions, types

_USERNAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{2,31}\Z")


@method(functions.users.GetUsersRequest)
def get_users(call: Call, request: Any) -> Any:
    found = []
    for given in request.id:
        try:
            found.append(show_user(call.account, user_of(call.account, given)))
        except RpcError:
            found.append(types.UserEmpty(getattr(given, "user_id", 0)))
    return found


@method(functions.users.GetFullUserRequest)
def get_full_user(call: Call, request: Any) -> Any:
    user = user_of(call.account, request.id)
    full = types.UserFull(
        user["id"], types.PeerSettings(), types.PeerNotifySettings(), 0,
        bot_info=types.BotInfo() if user.get("is_bot") else None,
    )  # fmt: skip
    return types.users.UserFull(full, [], [show_user(call.account, user)])


@method(functions.contacts.ResolveUsernameRequest)
def resolve_username(call: Call, request: Any) -> Any:
    account, name = call.account, request.username
    if not _USERNAME.match(name):
        raise bad_request("USERNAME_INVALID")
    cast = Cast(account)
    chat = account.directory.shared_named(name)
    if chat is not None:
        cast.add_shared(chat.id)
        return types.contacts.ResolvedPeer(peer(chat.id), cast.chats(), [])
    for user in account.users.values():
        if (user.get("username") or "").lower() == name.lower():
            cast.add_user(user["id"])
            return types.contacts.ResolvedPeer(peer(user["id"]), [], cast.users())
    raise bad_request("USERNAME_NOT_OCCUPIED")


@method(functions.contacts.GetContactsRequest, bots=False)
def get_contacts(call: Call, request: Any) -> Any:
    return types.contacts.Contacts([], 0, [])


@method(functions.messages.GetChatsRequest)
def get_chats(call: Call, request: Any) -> Any:
    found = [call.account.chats.get(-identity) for identity in request.id]
    return types.messages.Chats([show_chat(call.account, chat) for chat in found if chat and chat.type == "group"])


@method(functions.messages.GetFullChatRequest)
def get_full_chat(call: Call, request: Any) -> Any:
    chat = call.account.chats.get(-request.chat_id)
    if chat is None or chat.type != "group":
        raise bad_request("CHAT_ID_INVALID")
    cast = Cast(call.account)
    cast.add_chat(chat)
    members = []
    for identity in sorted(chat.members):
        cast.add_user(identity)
        members.append(types.ChatParticipant(identity, identity, 1_700_000_000))
    full = types.ChatFull(
        request.chat_id, "", types.ChatParticipants(request.chat_id, members, 1), types.PeerNotifySettings()
    )
    return types.messages.ChatFull(full, cast.chats(), cast.users())


@method(functions.channels.GetChannelsRequest)
def get_channels(call: Call, request: Any) -> Any:
    found = [channel_of(call.account, given) for given in request.id]
    return types.messages.Chats([show_chat(call.account, chat) for chat in found])


@method(functions.channels.GetFullChannelRequest)
def get_full_channel(call: Call, request: Any) -> Any:
    account = call.account
    chat = channel_of(account, request.channel)
    full = types.ChannelFull(
        channel_id(chat.id), "", account.read_to.get(chat.id, 0), 0, 0, types.PhotoEmpty(0),
        types.PeerNotifySettings(), [], account.log_of(chat).pts, participants_count=max(len(chat.members), 1),
    )  # fmt: skip
    cast = Cast(account)
    cast.add_chat(chat)
    if isinstance(chat, SeededChat):
        linked = chat.script.comments_in or chat.script.copies_of
        if linked is not None:
            full.linked_chat_id = channel_id(linked)
            cast.add_shared(linked)
        old = account.chats.get(chat.script.migrated_from or 0)
        if old is not None:
            full.migrated_from_chat_id, full.migrated_from_max_id = -old.id, old.end - 1
            cast.add_chat(old)
    return types.messages.ChatFull(full, cast.chats(), [])


@method(functions.channels.JoinChannelRequest, bots=False)
def join_channel(call: Call, request: Any) -> Any:
    chat = channel_of(call.account, request.channel)
    if not call.account.sees(chat):
        call.account.open_chat(chat.id, chat.type)
    return _channel_changed(call, chat)


@method(functions.channels.LeaveChannelRequest)
def leave_channel(call: Call, request: Any) -> Any:
    chat = channel_of(call.account, request.channel)
    if not call.account.sees(chat):
        raise bad_request("USER_NOT_PARTICIPANT")
    call.account.leave(chat)
    return _channel_changed(call, chat)


def _channel_changed(call: Call, chat: Chat) -> Any:
    update = types.UpdateChannel(channel_id(chat.id))
    return types.Updates([update], [], [show_chat(call.account, chat)], int(call.core.clock.now()), 0)


@method(functions.channels.GetParticipantRequest)
def get_participant(call: Call, request: Any) -> Any:
    chat = channel_of(call.account, request.channel)
    user = user_of(call.account, request.participant)
    if user["id"] not in chat.members:
        raise bad_request("USER_NOT_PARTICIPANT")
    shown = types.ChannelParticipant(user["id"], 1_700_000_000)
    return types.channels.ChannelParticipant(shown, [], [show_user(call.account, user)])


@method(functions.channels.GetParticipantsRequest)
def get_participants(call: Call, request: Any) -> Any:
    chat = channel_of(call.account, request.channel)
    if chat.type == "channel":
        raise bad_request("CHAT_ADMIN_REQUIRED")
    ids = sorted(chat.members)[max(request.offset, 0) :][: min(max(request.limit, 0), 200)]
    cast = Cast(call.account)
    for identity in ids:
        cast.add_user(identity)
    shown = [types.ChannelParticipant(identity, 1_700_000_000) for identity in ids]
    return types.channels.ChannelParticipants(len(chat.members), shown, [], cast.users())


@method(functions.messages.GetSplitRangesRequest, bots=False)
def get_split_ranges(call: Call, request: Any) -> Any:
    if call.takeout is None:
        raise RpcError(403, "TAKEOUT_REQUIRED")
    parts = max(call.core.modes.habits.split_ranges, 1)
    # The ranges are about equal, and the last one has no end.
    newest = max((chat.end for chat in call.account.chats.values() if chat.type not in SHARED), default=1)
    bounds = [1 + newest * number // parts for number in range(parts)] + [0x80000000]
    return [types.MessageRange(low, high - 1) for low, high in zip(bounds, bounds[1:], strict=False)]


@method(functions.messages.SetTypingRequest)
def set_typing(call: Call, request: Any) -> bool:
    return True


@method(functions.messages.ReadHistoryRequest, bots=False)
def read_history(call: Call, request: Any) -> Any:
    account, chat = call.account, chat_of(call.account, request.peer)
    if chat.type in SHARED:
        raise bad_request("PEER_ID_INVALID")
    newest = chat.end - 1
    up_to = min(request.max_id or newest, newest)
    if up_to <= account.read_to.get(chat.id, 0):
        return types.messages.AffectedMessages(account.log.pts, 0)
    account.read_to[chat.id] = up_to
    change = account.directory.publish(account, Change("read_inbox", chat.id, [], max_id=up_to), call.session)
    return types.messages.AffectedMessages(change.pts, change.pts_count)


@method(functions.channels.ReadHistoryRequest, bots=False)
def read_channel(call: Call, request: Any) -> bool:
    chat = channel_of(call.account, request.channel)
    call.account.read_to[chat.id] = max(call.account.read_to.get(chat.id, 0), request.max_id)
    return True
