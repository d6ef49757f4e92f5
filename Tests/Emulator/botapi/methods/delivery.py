"""The common parts of all methods that send a message."""

from __future__ import annotations

import copy
from typing import Any

from ..entities import utf16_length
from ..errors import bad_request
from ..markup import check_quote, check_reply_markup, check_reply_parameters, shown_markup
from ..model import Chat, Message
from ..world import Call

Json = dict[str, Any]


def deliver(call: Call, content: Json) -> Message:
    """Check the delivery parameters, then post `content` to the chat as the bot."""
    chat = call.writable_chat()
    thread_id = call.thread(chat)
    reply = _reply(call, chat)
    markup = call.get("reply_markup")
    if markup is not None:
        check_reply_markup(markup)
    if call.get("suggested_post_parameters") is not None or call.get("direct_messages_topic_id") is not None:
        raise bad_request("the chat is not a direct messages chat")
    call.world.rates.check(call.bot.id, chat.id)

    message = call.bot.new_message(chat, by_bot=True)
    if thread_id is not None:
        message.body |= {"message_thread_id": thread_id, "is_topic_message": True}
    if call.get("message_effect_id"):
        message.body["effect_id"] = call.get("message_effect_id")
    if call.get("protect_content"):
        message.body["has_protected_content"] = True
    message.body |= reply
    message.body |= copy.deepcopy(content)
    shown = shown_markup(markup)
    if shown is not None:
        message.body["reply_markup"] = shown
    elif markup and "inline_keyboard" not in markup:
        message.has_other_markup = True
    call.world.reflect(call.bot, chat, "new", message)
    return message


def _reply(call: Call, chat: Chat) -> Json:
    parameters = call.get("reply_parameters")
    if parameters is None:
        return {}
    check_reply_parameters(parameters)
    source = chat
    if "chat_id" in parameters and str(parameters["chat_id"]) != str(chat.id):
        source = Call(call.world, call.bot, call.method, {"chat_id": parameters["chat_id"]}).chat()
    target = source.find(parameters["message_id"])
    if target is None:
        if parameters.get("allow_sending_without_reply"):
            return {}
        raise bad_request("message to be replied not found")
    quote = _quote(parameters, target)
    if source is not chat:
        origin = {"type": "user", "date": target.body["date"], "sender_user": target.body.get("from", call.bot.user())}
        return {"external_reply": {"origin": origin, "chat": source.body(), "message_id": target.id}} | quote
    return {"reply_to_message": copy.deepcopy(target.visible())} | quote


def _quote(parameters: Json, target: Message) -> Json:
    quote = parameters.get("quote")
    if not quote:
        return {}
    text = str(target.body.get("text", target.body.get("caption", "")))
    check_quote(quote, text)
    position = utf16_length(text[: text.index(quote)])
    return {"quote": {"text": quote, "position": position, "is_manual": True}}
