"""Types of parameters: each converter takes the received text or JSON value and returns a typed value.

The real server is lenient here (it reads "12abc" as 12). The emulator refuses, so that a client's slip is seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from .errors import ApiError, bad_request

Converter = Callable[[str, Any], Any]

_INTEGER = re.compile(r"-?\d{1,19}\Z")
_TRUE = ("true", "yes", "1")
_FALSE = ("false", "no", "0")

# The words that the server's own messages use for a parameter's value.
_JSON_NAMES = {
    "reply_markup": ("reply keyboard markup", "object expected as reply markup"),
    "reply_parameters": ("reply parameters", "object expected as reply parameters"),
    "link_preview_options": ("link preview options", "object expected as link preview options"),
    "reaction": ("reaction types", "expected an Array of ReactionType"),
    "message_ids": ("message_ids", "expected an Array of message identifiers"),
    "commands": ("commands", "expected an Array of BotCommand"),
    "entities": ("entities", "expected an Array of MessageEntity"),
    "caption_entities": ("entities", "expected an Array of MessageEntity"),
    "allowed_updates": ("allowed updates", "expected an Array of update types"),
    "scope": ("BotCommandScope", "object expected as BotCommandScope"),
}


def wrong_type(name: str, expected: str) -> ApiError:
    return bad_request(f'parameter "{name}" must be {expected}')


def text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise wrong_type(name, "a String")
    return value


def integer(name: str, value: Any) -> int:
    if isinstance(value, bool):
        raise wrong_type(name, "an Integer")
    if isinstance(value, int):
        return value
    if isinstance(value, str) and _INTEGER.match(value):
        return int(value)
    raise wrong_type(name, "an Integer")


def boolean(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE + _FALSE:
        return value.lower() in _TRUE
    raise wrong_type(name, "a Boolean")


def chat_id(name: str, value: Any) -> int | str:
    """An integer, or a public username with its @. Anything else is a chat that does not exist."""
    if isinstance(value, str) and not _INTEGER.match(value):
        return value
    return integer(name, value)


def json_object(name: str, value: Any) -> dict[str, Any]:
    decoded = _decode(name, value)
    if not isinstance(decoded, dict):
        raise bad_request(_JSON_NAMES.get(name, (name, f"object expected as {name}"))[1])
    return decoded


def json_array(name: str, value: Any) -> list[Any]:
    decoded = _decode(name, value)
    if not isinstance(decoded, list):
        raise bad_request(_JSON_NAMES.get(name, (name, f"expected an Array as {name}"))[1])
    return decoded


def _decode(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        what = _JSON_NAMES.get(name, (name, ""))[0]
        raise bad_request(f"can't parse {what} JSON object") from error


def file(name: str, value: Any) -> str:
    """A file_id, an HTTP URL, `attach://name`, or the name of the part that holds the upload itself."""
    if not isinstance(value, str):
        raise wrong_type(name, "an InputFile or a String")
    return value
