"""Writing: new messages, forwards, edits, deletions, reactions."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import Any

from botapi.content import MEDIA_KINDS
from botapi.model import Chat, Message

from .. import render
from ..account import SHARED, Account
from ..changes import Change
from ..errors import RpcError, bad_request
from ..formatting import message_text, to_tl
from ..peers import Cast, channel_of, chat_of
from ..rpc import Call, method
from ..tl import functions, types
from .uploading import media_content

Json = dict[str, Any]
EDITABLE_SECONDS = 48 * 3600
MAX_DELETED = 100
MAX_SCHEDULE_SECONDS = 365 * 24 * 3600
_CONTENT = ("text", "entities", "caption", "caption_entities", *MEDIA_KINDS)
REACTIONS = frozenset(
    "👍👎❤🔥🥰👏😁🤔🤯😱🤬😢🎉🤩🤮💩🙏👌🕊🤡🥱🥴😍🐳🌚🌭💯🤣⚡🍌🏆💔🤨😐🍓"
    "🍾💋🖕😈😴😭🤓👻👀🎃🙈😇😨🤝✍🤗🫡🎅🎄☃💅🤪🗿🆒💘🙉🦄😘💊🙊😎👾🤷😡"
)


@dataclass
class Sent:
    message: Message
    change: Change
    random_id: int


def writable(account: Account, given: Any) -> Chat:
    chat = chat_of(account, given)
    if chat.id in account.blocked_by:
        raise bad_request("USER_IS_BLOCKED" if account.is_bot else "YOU_BLOCKED_USER")
    if chat.type in SHARED and not account.sees(chat):
        raise RpcError(403, "CHAT_WRITE_FORBIDDEN")
    return chat


def claim_random_id(account: Account, chat: Chat, random_id: int) -> None:
    """- Raises RpcError: zero, or used before: then the message is there already."""
    if random_id == 0:
        raise bad_request("RANDOM_ID_EMPTY")
    if (chat.id, random_id) in account.used_random_ids:
        raise RpcError(500, "RANDOM_ID_DUPLICATE")


def _reply_content(chat: Chat, given: Any) -> Json:
    if given is None:
        return {}
    if not isinstance(given, types.InputReplyToMessage) or given.reply_to_peer_id is not None:
        raise bad_request("REPLY_TO_INVALID")
    target = chat.find(given.reply_to_msg_id)
    if target is None:
        if given.reply_to_msg_id in chat.threads:
            return {"message_thread_id": given.reply_to_msg_id}
        raise bad_request("REPLY_MESSAGE_ID_INVALID")
    found: Json = {"reply_to_message": copy.deepcopy(target.visible())}
    if given.top_msg_id or "message_thread_id" in target.body:
        found["message_thread_id"] = given.top_msg_id or target.body["message_thread_id"]
    if given.quote_text:
        text = str(target.body.get("text", target.body.get("caption", "")))
        if given.quote_text not in text:
            raise bad_request("QUOTE_TEXT_INVALID")
        found["quote"] = {"text": given.quote_text, "position": given.quote_offset or 0, "is_manual": True}
    return found


def post(call: Call, chat: Chat, content: Json, random_id: int, reply_to: Any = None) -> Sent:
    """Put a message of the calling account into a chat."""
    account = call.account
    claim_random_id(account, chat, random_id)
    reply = _reply_content(chat, reply_to)
    message = account.new_message(chat, by_bot=True, date=int(call.core.clock.now()))
    message.by_account = account.id
    if chat.type == "channel":
        message.body.pop("from", None)
    message.body |= reply | copy.deepcopy(content)
    account.used_random_ids[chat.id, random_id] = message.id
    change = Change("new", chat.id, [message.id], random_id, account.id)
    account.directory.publish(account, change, call.session)
    return Sent(message, change, random_id)


def sent_updates(call: Call, chat: Chat, sent: list[Sent]) -> Any:
    cast = Cast(call.account)
    items: list[Any] = [types.UpdateMessageID(one.message.id, one.random_id) for one in sent]
    items += [render.change(call.account, chat, one.change, cast) for one in sent]
    return render.updates(call.account, items, cast, call.core.clock.now())


def scheduled(call: Call, chat: Chat, content: Json, request: Any) -> Any:
    """Keep a message that Telegram is to send later; it has an id of its own, apart from those of the chat."""
    account, now = call.account, call.core.clock.now()
    # The library reads the seconds as a date.
    date = int(request.schedule_date.timestamp())
    if date <= now:
        raise bad_request("SCHEDULE_DATE_INVALID")
    if date > now + MAX_SCHEDULE_SECONDS:
        raise bad_request("SCHEDULE_DATE_TOO_LATE")
    claim_random_id(account, chat, request.random_id)
    reply = _reply_content(chat, request.reply_to)
    number = len(account.scheduled) + 1
    body: Json = {"message_id": number, "from": account.user(), "chat": chat.body(), "date": date}
    message = Message(body | reply | copy.deepcopy(content), True)
    message.by_account = account.id
    account.scheduled.append(message)
    account.used_random_ids[chat.id, request.random_id] = message.id
    cast = Cast(account)
    shown = render.message(account, chat, message, cast)
    items = [types.UpdateMessageID(message.id, request.random_id), types.UpdateNewScheduledMessage(shown)]
    return render.updates(account, items, cast, now)


@method(functions.messages.GetScheduledHistoryRequest)
def scheduled_history(call: Call, request: Any) -> Any:
    account, chat = call.account, chat_of(call.account, request.peer)
    cast = Cast(account)
    waiting = [message for message in account.scheduled if message.body["chat"]["id"] == chat.id]
    shown = render.messages(account, chat, waiting, cast)
    return types.messages.Messages(shown, [], cast.chats(), cast.users())


@method(functions.messages.UpdatePinnedMessageRequest)
def pin_message(call: Call, request: Any) -> Any:
    account, chat = call.account, writable(call.account, request.peer)
    if chat.find(request.id) is None:
        raise bad_request("MESSAGE_ID_INVALID")
    if request.unpin:
        chat.pinned = [found for found in chat.pinned if found != request.id]
    elif request.id not in chat.pinned:
        chat.pinned.append(request.id)
    return render.updates(account, [], Cast(account), call.core.clock.now())


@method(functions.messages.SendMessageRequest)
def send_message(call: Call, request: Any) -> Any:
    account, chat = call.account, writable(call.account, request.peer)
    content = message_text(account, request.message, request.entities)
    if request.schedule_date is not None:
        return scheduled(call, chat, content, request)
    sent = post(call, chat, content, request.random_id, request.reply_to)
    if call.core.modes.habits.short_updates and chat.type in ("private", "group") and chat.id != account.id:
        body, change = sent.message.body, sent.change
        return types.UpdateShortSentMessage(
            sent.message.id, change.pts, change.pts_count, body["date"], out=True,
            entities=to_tl(body.get("entities", [])) or None,
        )  # fmt: skip
    return sent_updates(call, chat, [sent])


@method(functions.messages.SendMediaRequest)
async def send_media(call: Call, request: Any) -> Any:
    chat = writable(call.account, request.peer)
    claim_random_id(call.account, chat, request.random_id)
    content = await media_content(call, request.media)
    content |= message_text(call.account, request.message, request.entities, is_caption=True)
    if request.schedule_date is not None:
        return scheduled(call, chat, content, request)
    return sent_updates(call, chat, [post(call, chat, content, request.random_id, request.reply_to)])


@method(functions.messages.SendMultiMediaRequest)
async def send_multi_media(call: Call, request: Any) -> Any:
    chat = writable(call.account, request.peer)
    if not 1 <= len(request.multi_media) <= 10:
        raise bad_request("MULTI_MEDIA_TOO_LONG" if request.multi_media else "MEDIA_EMPTY")
    sent, group = [], str(call.core.clock.msg_id(1))
    for one in request.multi_media:
        content = await media_content(call, one.media) | {"media_group_id": group}
        content |= message_text(call.account, one.message, one.entities, is_caption=True)
        sent.append(post(call, chat, content, one.random_id, request.reply_to))
    return sent_updates(call, chat, sent)


@method(functions.messages.ForwardMessagesRequest)
def forward_messages(call: Call, request: Any) -> Any:
    account = call.account
    source, chat = chat_of(account, request.from_peer), writable(account, request.to_peer)
    if len(request.id) != len(request.random_id) or not 1 <= len(request.id) <= MAX_DELETED:
        raise bad_request("RANDOM_ID_INVALID" if request.id else "MESSAGE_IDS_EMPTY")
    originals = [source.find(identity) for identity in request.id]
    if any(original is not None and original.body.get("has_protected_content") for original in originals):
        raise bad_request("CHAT_FORWARDS_RESTRICTED")
    sent, groups = [], dict[str, str]()
    for original, random_id in zip(originals, request.random_id, strict=True):
        if original is None:
            raise bad_request("MESSAGE_ID_INVALID")
        content = {key: copy.deepcopy(original.body[key]) for key in _CONTENT if key in original.body}
        if not request.drop_author:
            content["forward_origin"] = _origin(source, original)
        group = original.body.get("media_group_id")
        if group is not None:
            if group not in groups:
                groups[group] = str(call.core.clock.msg_id(1))
            content["media_group_id"] = groups[group]
        sent.append(post(call, chat, content, random_id))
    return sent_updates(call, chat, sent)


def _origin(source: Chat, original: Message) -> Json:
    known: Json | None = original.body.get("forward_origin")
    if known is not None:
        return known
    if source.type == "channel":
        return {"type": "channel", "date": original.body["date"], "chat": source.body(), "message_id": original.id}
    return {"type": "user", "date": original.body["date"], "sender_user": original.body["from"]}


@method(functions.messages.EditMessageRequest)
async def edit_message(call: Call, request: Any) -> Any:
    account, chat = call.account, writable(call.account, request.peer)
    message = chat.find(request.id)
    if message is None:
        raise bad_request("MESSAGE_ID_INVALID")
    if not account.is_own(message):
        raise RpcError(403, "MESSAGE_AUTHOR_REQUIRED")
    if time.time() - message.body["date"] > EDITABLE_SECONDS:
        raise bad_request("MESSAGE_EDIT_TIME_EXPIRED")
    has_media = any(kind in message.body for kind in MEDIA_KINDS)
    content = await media_content(call, request.media) if request.media is not None else {}
    if request.message is not None:
        content |= message_text(account, request.message, request.entities, is_caption=has_media or bool(content))
    _apply_edit(message, content, replaces_text=request.message is not None, replaces_media=request.media is not None)
    change = account.directory.publish(account, Change("edit", chat.id, [message.id]), call.session)
    cast = Cast(account)
    update = render.change(account, chat, change, cast)
    return render.updates(account, [update], cast, call.core.clock.now())


def _apply_edit(message: Message, content: Json, *, replaces_text: bool, replaces_media: bool) -> None:
    gone = {"text", "entities", "caption", "caption_entities"} if replaces_text else set()
    gone |= set(MEDIA_KINDS) if replaces_media else set()
    if {key: value for key, value in message.body.items() if key in gone} == content:
        raise bad_request("MESSAGE_NOT_MODIFIED")
    for key in gone:
        message.body.pop(key, None)
    message.body |= content | {"edit_date": int(time.time())}
    message.edits.append({key: content[key] for key in ("text", "caption") if key in content} | {"at": time.time()})


@method(functions.messages.DeleteMessagesRequest)
def delete_messages(call: Call, request: Any) -> Any:
    account = call.account
    if len(request.id) > MAX_DELETED:
        raise bad_request("LIMIT_INVALID")
    pts_count = 0
    for chat in [chat for chat in account.chats.values() if chat.type not in SHARED]:
        gone = [identity for identity in request.id if chat.find(identity) is not None]
        pts_count += _delete(call, chat, gone)
    return types.messages.AffectedMessages(account.log.pts, pts_count)


@method(functions.channels.DeleteMessagesRequest)
def delete_channel_messages(call: Call, request: Any) -> Any:
    account, chat = call.account, channel_of(call.account, request.channel)
    found = [message for identity in request.id if (message := chat.find(identity)) is not None]
    if chat.type == "supergroup" and not all(account.is_own(message) for message in found):
        raise RpcError(403, "MESSAGE_DELETE_FORBIDDEN")
    pts_count = _delete(call, chat, [message.id for message in found])
    return types.messages.AffectedMessages(account.log_of(chat).pts, pts_count)


def _delete(call: Call, chat: Chat, gone: list[int]) -> int:
    if not gone:
        return 0
    for identity in gone:
        chat.delete(chat.messages[identity])
    return call.account.directory.publish(call.account, Change("delete", chat.id, gone), call.session).pts_count


@method(functions.messages.SendReactionRequest)
def send_reaction(call: Call, request: Any) -> Any:
    account, chat = call.account, writable(call.account, request.peer)
    message = chat.find(request.msg_id)
    if message is None:
        raise bad_request("MESSAGE_ID_INVALID")
    emoji = []
    for reaction in request.reaction or []:
        if isinstance(reaction, types.ReactionEmoji):
            plain = reaction.emoticon.replace("\ufe0f", "")
            if not plain or any(sign not in REACTIONS for sign in plain.split("\u200d")[0]):
                raise bad_request("REACTION_INVALID")
            emoji.append({"type": "emoji", "emoji": plain})
    if len(emoji) > (3 if account.identity.premium else 1):
        raise bad_request("REACTIONS_TOO_MANY")
    others = [known for known in message.reactions if known.get("by") != account.id]
    mine = [one | {"by": account.id} for one in emoji]
    if message.reactions == others + mine:
        raise bad_request("MESSAGE_NOT_MODIFIED")
    message.reactions = others + mine
    message.reaction_history.append({"reaction": message.reactions, "at": time.time()})
    change = account.directory.publish(account, Change("reactions", chat.id, [message.id]), call.session)
    cast = Cast(account)
    return render.updates(account, [render.change(account, chat, change, cast)], cast, call.core.clock.now())
