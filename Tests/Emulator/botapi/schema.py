"""The methods served and the parameters that the Bot API documents for each.

A parameter that is not listed is REFUSED. The real server ignores it, and so a misspelt parameter is never noticed;
finding those is what this emulator is for. Deprecated parameters count as misspelt.
"""

from __future__ import annotations

from typing import Any

from .errors import bad_request
from .fields import Converter, boolean, chat_id, file, integer, json_array, json_object, text

Parameters = dict[str, Converter]

_MESSAGE: Parameters = {"chat_id": chat_id, "message_id": integer}
_DELIVERY: Parameters = {
    "chat_id": chat_id,
    "message_thread_id": integer,
    "direct_messages_topic_id": integer,
    "disable_notification": boolean,
    "protect_content": boolean,
    "message_effect_id": text,
    "suggested_post_parameters": json_object,
}
_SEND: Parameters = _DELIVERY | {
    "business_connection_id": text,
    "allow_paid_broadcast": boolean,
    "reply_parameters": json_object,
    "reply_markup": json_object,
}
_CAPTION: Parameters = {"caption": text, "parse_mode": text, "caption_entities": json_array}
_ABOVE: Parameters = {"show_caption_above_media": boolean}
_SIZE: Parameters = {"duration": integer, "width": integer, "height": integer}
_MEDIA: Parameters = _SEND | _CAPTION
_EDIT: Parameters = _MESSAGE | {
    "inline_message_id": text,
    "business_connection_id": text,
    "reply_markup": json_object,
}

METHODS: dict[str, Parameters] = {
    "getMe": {},
    "logOut": {},
    "close": {},
    "getUpdates": {"offset": integer, "limit": integer, "timeout": integer, "allowed_updates": json_array},
    "setWebhook": {
        "url": text,
        "certificate": file,
        "ip_address": text,
        "max_connections": integer,
        "allowed_updates": json_array,
        "drop_pending_updates": boolean,
        "secret_token": text,
    },
    "deleteWebhook": {"drop_pending_updates": boolean},
    "getWebhookInfo": {},
    "sendMessage": _SEND
    | {"text": text, "parse_mode": text, "entities": json_array, "link_preview_options": json_object},
    "forwardMessage": _DELIVERY | {"from_chat_id": chat_id, "message_id": integer, "video_start_timestamp": integer},
    "forwardMessages": _DELIVERY | {"from_chat_id": chat_id, "message_ids": json_array},
    "copyMessages": _DELIVERY | {"from_chat_id": chat_id, "message_ids": json_array, "remove_caption": boolean},
    "copyMessage": _DELIVERY
    | _CAPTION
    | _ABOVE
    | {
        "from_chat_id": chat_id,
        "message_id": integer,
        "video_start_timestamp": integer,
        "allow_paid_broadcast": boolean,
        "reply_parameters": json_object,
        "reply_markup": json_object,
    },
    "sendPhoto": _MEDIA | _ABOVE | {"photo": file, "has_spoiler": boolean},
    "sendAudio": _MEDIA
    | {"audio": file, "thumbnail": file, "duration": integer, "performer": text, "title": text},
    "sendDocument": _MEDIA | {"document": file, "thumbnail": file, "disable_content_type_detection": boolean},
    "sendVideo": _MEDIA
    | _SIZE
    | _ABOVE
    | {
        "video": file,
        "thumbnail": file,
        "cover": file,
        "start_timestamp": integer,
        "has_spoiler": boolean,
        "supports_streaming": boolean,
    },
    "sendAnimation": _MEDIA
    | _SIZE
    | _ABOVE
    | {"animation": file, "thumbnail": file, "has_spoiler": boolean},
    "sendVoice": _MEDIA | {"voice": file, "duration": integer},
    "sendMediaGroup": _DELIVERY
    | {
        "business_connection_id": text,
        "allow_paid_broadcast": boolean,
        "reply_parameters": json_object,
        "media": json_array,
    },
    "pinChatMessage": _MESSAGE | {"business_connection_id": text, "disable_notification": boolean},
    "sendChatAction": {
        "chat_id": chat_id,
        "action": text,
        "message_thread_id": integer,
        "business_connection_id": text,
    },
    "editMessageText": _EDIT
    | {"text": text, "parse_mode": text, "entities": json_array, "link_preview_options": json_object},
    "editMessageCaption": _EDIT | _CAPTION | _ABOVE,
    "editMessageReplyMarkup": _EDIT,
    "deleteMessage": _MESSAGE,
    "deleteMessages": {"chat_id": chat_id, "message_ids": json_array},
    "setMessageReaction": _MESSAGE | {"reaction": json_array, "is_big": boolean},
    "getFile": {"file_id": text},
    "getChat": {"chat_id": chat_id},
    "getChatMember": {"chat_id": chat_id, "user_id": integer},
    "setMyCommands": {"commands": json_array, "scope": json_object, "language_code": text},
    "getMyCommands": {"scope": json_object, "language_code": text},
    "answerCallbackQuery": {
        "callback_query_id": text,
        "text": text,
        "show_alert": boolean,
        "url": text,
        "cache_time": integer,
    },
}

CANONICAL_NAMES = {name.lower(): name for name in METHODS}


def bind(method: str, raw: dict[str, Any]) -> dict[str, Any]:
    """Typed parameters of a call. Empty text and null are the same as leaving a parameter out, as on the server."""
    converters = METHODS[method]
    bound: dict[str, Any] = {}
    for name, value in raw.items():
        if name not in converters:
            raise bad_request(f'unknown parameter "{name}"')
        if value is None or value == "":
            continue
        bound[name] = converters[name](name, value)
    return bound


def file_parameters(method: str) -> list[str]:
    return [name for name, converter in METHODS[method].items() if converter is file]
