"""Checks of the structured parameters: keyboards, replies, link previews."""

from __future__ import annotations

from typing import Any

from .entities import utf16_length
from .errors import bad_request

Json = dict[str, Any]

_BUTTON_ACTIONS = {
    "url", "callback_data", "web_app", "login_url", "switch_inline_query", "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat", "copy_text", "callback_game", "pay",
}  # fmt: skip
_INLINE_BUTTON = _BUTTON_ACTIONS | {"text", "icon_custom_emoji_id", "style"}
_KEYBOARD_BUTTON = {
    "text", "icon_custom_emoji_id", "style", "request_users", "request_chat", "request_managed_bot",
    "request_contact", "request_location", "request_poll", "web_app",
}  # fmt: skip
_MARKUPS = {
    "inline_keyboard": {"inline_keyboard"},
    "keyboard": {"keyboard", "is_persistent", "resize_keyboard", "one_time_keyboard", "input_field_placeholder",
                 "selective"},
    "remove_keyboard": {"remove_keyboard", "selective"},
    "force_reply": {"force_reply", "input_field_placeholder", "selective"},
}  # fmt: skip
_REPLY: dict[str, type] = {
    "message_id": int, "chat_id": object, "allow_sending_without_reply": bool, "quote": str,
    "quote_parse_mode": str, "quote_entities": list, "quote_position": int, "checklist_task_id": int,
    "poll_option_id": str,
}  # fmt: skip
_LINK_PREVIEW: dict[str, type] = {
    "is_disabled": bool, "url": str, "prefer_small_media": bool, "prefer_large_media": bool, "show_above_text": bool,
}  # fmt: skip
_JSON_TYPES = {int: "Number", bool: "Boolean", str: "String", list: "Array", object: "anything"}
MAX_CALLBACK_DATA_BYTES = 64
MAX_QUOTE = 1024


def check_fields(what: str, value: Json, known: dict[str, type]) -> None:
    """Refuse fields that the documentation does not have (the server ignores them) and wrong types."""
    for name, item in value.items():
        if name not in known:
            raise bad_request(f'unknown field "{name}" in {what}')
        kind = known[name]
        if not isinstance(item, kind) or (kind is int and isinstance(item, bool)):
            raise bad_request(f"Field \"{name}\" must be of type {_JSON_TYPES[kind]}")


def check_reply_parameters(value: Json) -> None:
    check_fields("ReplyParameters", value, _REPLY)
    if "message_id" not in value:
        raise bad_request("can't parse reply parameters: Can't find field \"message_id\"")


def check_link_preview_options(value: Json) -> None:
    check_fields("LinkPreviewOptions", value, _LINK_PREVIEW)


def check_reply_markup(markup: Json) -> None:
    if not markup:
        return
    kind = next((kind for kind in _MARKUPS if kind in markup), None)
    if kind is None:
        raise bad_request(f"reply markup of no known kind: has only {', '.join(markup)}")
    _refuse_unknown("reply_markup", markup, _MARKUPS[kind])
    if kind == "inline_keyboard":
        _check_rows(markup[kind], "inline_keyboard\" of the InlineKeyboardMarkup", _check_inline_button)
    elif kind == "keyboard":
        _check_rows(markup[kind], 'keyboard"', _check_button)
    elif not isinstance(markup[kind], bool):
        raise bad_request(f"Field \"{kind}\" must be of type Boolean")


def is_inline(markup: Json | None) -> bool:
    return markup is not None and "inline_keyboard" in markup


def shown_markup(markup: Json | None) -> Json | None:
    """The part of a reply markup that the message itself shows: only inline keyboards with buttons."""
    if markup is None or not any(markup.get("inline_keyboard", [])):
        return None
    return {"inline_keyboard": [row for row in markup["inline_keyboard"] if row]}


def _refuse_unknown(what: str, value: Json, known: set[str]) -> None:
    for name in value:
        if name not in known:
            raise bad_request(f'unknown field "{name}" in {what}')


def _check_rows(rows: Any, what: str, check: Any) -> None:
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request(f'Field "{what} must be an Array of Arrays')
    for row in rows:
        for button in row:
            check(button)


def _check_button(button: Any) -> None:
    if isinstance(button, str):
        return
    if not isinstance(button, dict):
        raise bad_request("can't parse keyboard button: KeyboardButton must be a String or an Object")
    if not isinstance(button.get("text"), str):
        raise bad_request("can't parse keyboard button: Can't find field \"text\"")
    _refuse_unknown("KeyboardButton", button, _KEYBOARD_BUTTON)


def _check_inline_button(button: Any) -> None:
    if not isinstance(button, dict):
        raise bad_request("can't parse inline keyboard button: InlineKeyboardButton must be an Object")
    if not isinstance(button.get("text"), str):
        raise bad_request("can't parse inline keyboard button: Can't find field \"text\"")
    _refuse_unknown("InlineKeyboardButton", button, _INLINE_BUTTON)
    if not _BUTTON_ACTIONS & button.keys():
        raise bad_request(
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"
        )
    data = button.get("callback_data")
    if data is not None and not 1 <= len(str(data).encode()) <= MAX_CALLBACK_DATA_BYTES:
        raise bad_request("BUTTON_DATA_INVALID")
    url = button.get("url")
    if url is not None and not str(url).startswith(("http://", "https://", "tg://", "ton://")):
        raise bad_request("BUTTON_URL_INVALID")


def check_quote(quote: str, text: str) -> None:
    if utf16_length(quote) > MAX_QUOTE or quote not in text:
        raise bad_request("QUOTE_TEXT_INVALID")
