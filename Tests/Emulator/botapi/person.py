"""Actions of people that the tests request: write, send files, edit, block. They cause updates."""

from __future__ import annotations

import copy
import time
import uuid
from pathlib import Path
from typing import Any

from .content import media_content
from .entities import detect, utf16_length, validate
from .errors import ApiError, ControlError
from .formatting import MAX_CAPTION, MAX_TEXT
from .images import image_size
from .inputfile import mime_type_of
from .model import Bot, Chat, Message, View
from .world import World

Json = dict[str, Any]
# The last is where accounts find the file: its data centre.
_ATTRIBUTES = ("duration", "width", "height", "title", "performer", "dc")
CHAT_TYPES = ("private", "group", "supergroup", "channel")


def chat_for(view: View, order: Json, user: Json | None) -> Chat:
    """The chat an order speaks of, made if there is none, and brought up to date."""
    chat_id = order["chat_id"]
    default = "private" if chat_id > 0 else "supergroup"
    chat = view.chats.get(chat_id)
    if chat is None:
        kind = order.get("chat_type", default)
        if kind not in CHAT_TYPES or (kind == "private") is not (chat_id > 0):
            raise ControlError(f"chat_type {kind!r} does not fit chat_id {chat_id}")
        chat = view.open_chat(chat_id, kind)
    elif "chat_type" in order and order["chat_type"] != chat.type:
        raise ControlError(f"chat {chat_id} is already a {chat.type}")
    if chat.migrated_to is not None:
        raise ControlError(f"chat {chat_id} has become {chat.migrated_to}")
    chat.title = order.get("title", chat.title)
    if "chat_username" in order:
        chat.username = order["chat_username"]
    if user is not None:
        chat.members.add(user["id"])
        if chat.type == "private" and user["id"] == chat_id:
            chat.first_name, chat.username = user["first_name"], user.get("username")
    if order.get("thread_id") is not None:
        chat.threads.add(order["thread_id"])
    return chat


def user_for(view: View, order: Json) -> Json | None:
    """The sender; None for a channel's own posts."""
    given = order.get("from")
    if given is None:
        if order["chat_id"] < 0:
            chat = view.chats.get(order["chat_id"])
            if (chat.type if chat else order.get("chat_type")) == "channel":
                return None
            raise ControlError("from is missing")
        given = view.users.get(order["chat_id"], {"id": order["chat_id"], "first_name": "User"})
    if not isinstance(given, dict) or not isinstance(given.get("id"), int) or given["id"] <= 0:
        raise ControlError("from must be an object with a positive id")
    known = view.users.get(given["id"], {})
    user = {"id": given["id"], "is_bot": False, "first_name": "User"} | known | given
    view.users[user["id"]] = user
    return user


def post(view: View, order: Json, content: Json) -> Message:
    """Queue a message as an update for the bot."""
    user = user_for(view, order)
    chat = chat_for(view, order, user)
    target = None
    if order.get("reply_to") is not None:
        target = chat.find(order["reply_to"])
        if target is None:
            raise ControlError(f"reply_to: chat {chat.id} has no message {order['reply_to']}")
    message = view.new_message(chat, by_bot=False, date=order.get("date"))
    if user is not None and chat.type != "channel":
        message.body = {"message_id": message.id, "from": user} | message.body
    if order.get("thread_id") is not None:
        message.body |= {"message_thread_id": order["thread_id"], "is_topic_message": True}
    if target is not None:
        message.body["reply_to_message"] = copy.deepcopy(target.visible())
    message.body |= content
    if order.get("album"):
        message.body["media_group_id"] = order["album"]
    if order.get("protected"):
        message.body["has_protected_content"] = True
    for entity in content.get("entities", []):
        if entity["type"] == "text_mention":
            view.users.setdefault(entity["user"]["id"], entity["user"])
    view.announce("channel_post" if chat.type == "channel" else "message", chat, message)
    return message


def text_content(order: Json, key: str = "text") -> Json:
    text = order[key]
    if utf16_length(text) > (MAX_TEXT if key == "text" else MAX_CAPTION):
        raise ControlError(f"{key} is longer than a person can write")
    try:
        entities = detect(text, validate(text, order.get("entities") or []))
    except ApiError as error:
        raise ControlError(error.description) from error
    name = "entities" if key == "text" else "caption_entities"
    return {key: text} | ({name: entities} if entities else {})


def file_content(world: World, view: View, order: Json) -> Json:
    path = Path(order["path"])
    if not path.is_file():
        raise ControlError(f"path: {path} is no file")
    kind = order["kind"]
    attributes: Json = {name: order[name] for name in _ATTRIBUTES if name in order}
    blob = world.files.keep_copy(path)
    if kind == "photo" and "width" not in attributes:
        width, height = image_size(blob.path) or (800, 600)
        attributes |= {"width": width, "height": height}
    name = order.get("file_name", path.name)
    mime_type = order.get("mime_type") or mime_type_of(kind, name)
    file = world.files.issue(view.id, kind, blob, name, mime_type, attributes)
    caption = text_content(order, "caption") if order.get("caption") else {}
    return media_content(file) | caption


def edit(view: View, order: Json) -> Message:
    chat = view.chats.get(order["chat_id"])
    message = chat.find(order["message_id"]) if chat else None
    if chat is None or message is None:
        raise ControlError("there is no such message")
    if message.by_bot:
        raise ControlError("a person cannot edit the bot's message")
    key = "text" if "text" in message.body else "caption"
    message.body.pop("entities" if key == "text" else "caption_entities", None)
    message.body |= text_content({key: order["text"], "entities": order.get("entities")}, key)
    message.body["edit_date"] = int(time.time())
    message.edits.append({key: order["text"], "at": time.time()})
    view.announce("edited_channel_post" if chat.type == "channel" else "edited_message", chat, message)
    return message


def press(bot: Bot, order: Json) -> Json:
    """A person presses a button of a message that is there now; the bot gets a callback query."""
    chat = bot.chats.get(order["chat_id"])
    message = chat.find(order["message_id"]) if chat else None
    if chat is None or message is None:
        raise ControlError("there is no such message")
    rows = message.body.get("reply_markup", {}).get("inline_keyboard", [])
    buttons = [button for row in rows for button in row if "callback_data" in button]
    pressed = [button for button in buttons if order["text"] in button["text"]]
    if len(pressed) != 1:
        raise ControlError(f"{order['text']!r} is in {len(pressed)} of the buttons: {[b['text'] for b in buttons]}")
    query: Json = {
        "id": str(uuid.uuid4().int >> 65), "from": user_for(bot, order), "message": copy.deepcopy(message.body),
        "chat_instance": str(hash((bot.id, chat.id)) & (2**62 - 1)), "data": pressed[0]["callback_data"],
    }  # fmt: skip
    bot.callback_queries[query["id"]] = time.time()
    return {"update_id": bot.updates.push({"callback_query": query}), "id": query["id"]}


def migrate(bot: Bot, order: Json) -> Chat:
    """A basic group becomes a supergroup: another chat, with another id and its own message ids."""
    old = bot.chats.get(order["chat_id"])
    if old is None or old.type != "group":
        raise ControlError("only a basic group becomes a supergroup")
    user = user_for(bot, order)
    new = Chat(-(10**12) + old.id, "supergroup", old.title, members=set(old.members), bot_status=old.bot_status)
    bot.chats[new.id] = new
    for chat, note in ((old, {"migrate_to_chat_id": new.id}), (new, {"migrate_from_chat_id": old.id})):
        message = bot.new_message(chat, by_bot=False)
        message.body |= {"from": user} | note
        bot.updates.push({"message": copy.deepcopy(message.body)})
    old.migrated_to = new.id
    return new


def block(bot: Bot, user_id: int, blocked: bool) -> None:
    """A person blocks the bot, or (negative id) a group throws it out."""
    if user_id < 0:
        chat = bot.chats.get(user_id)
        if chat is None:
            raise ControlError(f"there is no chat {user_id}")
        chat.bot_status = "kicked" if blocked else "member"
    elif blocked:
        bot.blocked_by.add(user_id)
    else:
        bot.blocked_by.discard(user_id)
