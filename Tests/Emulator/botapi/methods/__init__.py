"""Method names and the functions that serve them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ..world import Call
from . import bot, chats, edits, media, messages, polling

Handler = Callable[[Call], Awaitable[Any]]

HANDLERS: dict[str, Handler] = {
    "getMe": bot.get_me,
    "logOut": bot.log_out,
    "close": bot.close,
    "setMyCommands": bot.set_my_commands,
    "getMyCommands": bot.get_my_commands,
    "answerCallbackQuery": bot.answer_callback_query,
    "getUpdates": polling.get_updates,
    "setWebhook": polling.set_webhook,
    "deleteWebhook": polling.delete_webhook,
    "getWebhookInfo": polling.get_webhook_info,
    "sendMessage": messages.send_message,
    "forwardMessage": messages.forward_message,
    "copyMessage": messages.copy_message,
    "forwardMessages": messages.forward_messages,
    "copyMessages": messages.copy_messages,
    "sendVideo": media.send,
    "sendAudio": media.send,
    "sendDocument": media.send,
    "sendPhoto": media.send,
    "sendVoice": media.send,
    "sendAnimation": media.send,
    "sendMediaGroup": media.send_group,
    "pinChatMessage": edits.pin,
    "getFile": media.get_file,
    "editMessageText": edits.edit_text,
    "editMessageCaption": edits.edit_caption,
    "editMessageReplyMarkup": edits.edit_reply_markup,
    "deleteMessage": edits.delete_message,
    "deleteMessages": edits.delete_messages,
    "setMessageReaction": chats.set_message_reaction,
    "sendChatAction": chats.send_chat_action,
    "getChat": chats.get_chat,
    "getChatMember": chats.get_chat_member,
}
