"""Changes and removes messages."""

from __future__ import annotations

import time
from typing import Any

from ..content import has_media
from ..errors import bad_request
from ..markup import check_reply_markup, is_inline, shown_markup
from ..model import Chat, Message
from ..world import Call
from .messages import caption_content, text_content

Json = dict[str, Any]
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current content "
    "and reply markup of the message"
)
DELETABLE_SECONDS = 48 * 3600
MAX_DELETED = 100


async def edit_text(call: Call) -> Json:
    content = text_content(call)
    message = _editable(call)
    if "text" not in message.body:
        raise bad_request("there is no text in the message to edit")
    return _apply(call, message, ("text", "entities", "link_preview_options"), content)


async def edit_caption(call: Call) -> Json:
    content = caption_content(call)
    message = _editable(call)
    if not has_media(message.body):
        raise bad_request("there is no caption in the message to edit")
    if call.get("show_caption_above_media"):
        content["show_caption_above_media"] = True
    return _apply(call, message, ("caption", "caption_entities", "show_caption_above_media"), content)


async def edit_reply_markup(call: Call) -> Json:
    return _apply(call, _editable(call), (), {})


def _editable(call: Call) -> Message:
    if call.get("inline_message_id"):
        raise bad_request("MESSAGE_ID_INVALID")
    message = call.message(call.writable_chat(), "edit")
    if not message.by_bot or "forward_origin" in message.body or message.has_other_markup:
        raise bad_request("message can't be edited")
    markup = call.get("reply_markup")
    if markup is not None:
        check_reply_markup(markup)
        if markup and not is_inline(markup):
            raise bad_request("inline keyboard expected")
    return message


def _apply(call: Call, message: Message, keys: tuple[str, ...], content: Json) -> Json:
    """Replace the content under `keys` and the keyboard, which an edit without one removes."""
    markup = shown_markup(call.get("reply_markup"))
    if markup is not None:
        content = content | {"reply_markup": markup}
    replaced = {*keys, "reply_markup"}
    current = {key: value for key, value in message.body.items() if key in replaced}
    if current == content:
        raise bad_request(NOT_MODIFIED)
    call.world.rates.check(call.bot.id, int(message.body["chat"]["id"]))
    for key in replaced:
        message.body.pop(key, None)
    message.body |= content | {"edit_date": int(time.time())}
    shown = {key: content[key] for key in ("text", "caption") if key in content}
    message.edits.append(shown | {"at": time.time()})
    call.world.reflect(call.bot, call.chat(), "edit", message)
    return message.body


async def delete_message(call: Call) -> bool:
    chat = call.chat()
    message = call.message(chat, "delete")
    if not _may_delete(chat, message):
        raise bad_request("message can't be deleted")
    chat.delete(message)
    call.world.reflect(call.bot, chat, "delete", message)
    return True


async def delete_messages(call: Call) -> bool:
    chat = call.chat()
    ids = call.get("message_ids")
    if not ids:
        raise bad_request("message identifiers are not specified")
    if len(ids) > MAX_DELETED:
        raise bad_request("too many message identifiers specified")
    if not all(isinstance(message_id, int) and not isinstance(message_id, bool) for message_id in ids):
        raise bad_request("message identifier must be a Number")
    # Messages that cannot be found or deleted are skipped without a word.
    for message_id in ids:
        message = chat.find(message_id)
        if message is not None and _may_delete(chat, message):
            chat.delete(message)
            call.world.reflect(call.bot, chat, "delete", message)
    return True


def _may_delete(chat: Chat, message: Message) -> bool:
    if chat.bot_status == "administrator":
        return True
    if time.time() - message.body["date"] > DELETABLE_SECONDS:
        return False
    return message.by_bot or chat.type == "private"


async def pin(call: Call) -> bool:
    chat = call.writable_chat()
    message = call.message(chat, "pin")
    if chat.type != "private" and chat.bot_status not in ("administrator", "creator"):
        raise bad_request("not enough rights to manage pinned messages in the chat")
    if message.id in chat.pinned:
        raise bad_request("CHAT_NOT_MODIFIED")
    chat.pinned.append(message.id)
    return True
