"""Message entities: offsets in UTF-16 code units, detection in plain text, and validation of those a bot gives."""

from __future__ import annotations

import re
from typing import Any

from .errors import bad_request

Entity = dict[str, Any]

_DETECTORS = [
    ("email", re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[A-Za-z]{2,}(?![\w.-])", re.ASCII)),
    ("url", re.compile(r"(?<![\w@])(?:https?|ftp|tonsite)://[^\s<>\"]+", re.IGNORECASE)),
    ("url", re.compile(r"(?<![\w@./:-])(?:[a-z0-9-]+\.)+(?:com|org|net|io|me|be|tv|ru|de|dev|app|info|co)\b"
                       r"(?:[/?#][^\s<>\"]*)?", re.IGNORECASE | re.ASCII)),
    ("bot_command", re.compile(r"(?<![\w/<>@#])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/])", re.ASCII)),
    ("mention", re.compile(r"(?<!\w)@[A-Za-z][A-Za-z0-9_]{2,31}(?!\w)", re.ASCII)),
    ("hashtag", re.compile(r"(?<!\w)#(?=\w*[^\W\d])\w{1,256}")),
    ("cashtag", re.compile(r"(?<!\w)\$[A-Z]{1,8}(?!\w)")),
]
_URL_TAIL = ".,:;!?'\"»”…"
_TYPES = {
    "mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bold", "italic", "underline",
    "strikethrough", "spoiler", "blockquote", "expandable_blockquote", "code", "pre", "text_link", "text_mention",
    "custom_emoji", "date_time",
}  # fmt: skip
_REQUIRED_FIELDS = {"text_link": "url", "text_mention": "user", "custom_emoji": "custom_emoji_id"}
_WITHOUT_DETECTION = {"code", "pre", "text_link", "text_mention"}
# The outer of two entities of the same extent comes first.
_ORDER = ["blockquote", "expandable_blockquote", "text_link", "text_mention", "bold", "italic", "underline",
          "strikethrough", "spoiler", "code", "pre"]  # fmt: skip


def utf16_length(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)


def utf16_slice(text: str, offset: int, length: int) -> str:
    raw = text.encode("utf-16-le")[offset * 2 : (offset + length) * 2]
    return raw.decode("utf-16-le", errors="replace")


def detect(text: str, given: list[Entity]) -> list[Entity]:
    """Return the given entities and those that Telegram detects outside links and code."""
    found: list[Entity] = []
    taken = [(e["offset"], e["offset"] + e["length"]) for e in given if e["type"] in _WITHOUT_DETECTION]
    for kind, pattern in _DETECTORS:
        for match in pattern.finditer(text):
            value = _trim_url(match[0]) if kind == "url" else match[0]
            start = utf16_length(text[: match.start()])
            end = start + utf16_length(value)
            if all(end <= low or start >= high for low, high in taken):
                found.append({"type": kind, "offset": start, "length": end - start})
                taken.append((start, end))
    return sort(given + found)


def sort(entities: list[Entity]) -> list[Entity]:
    def key(entity: Entity) -> tuple[int, int, int]:
        rank = _ORDER.index(entity["type"]) if entity["type"] in _ORDER else len(_ORDER)
        return entity["offset"], -entity["length"], rank

    return sorted(entities, key=key)


def trim(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Cut white space at both ends, as the server does, and keep the entities where they belong."""
    stripped = text.strip(" \n\t\r\v\f\0")
    cut = utf16_length(text[: len(text) - len(text.lstrip(" \n\t\r\v\f\0"))]) if stripped else 0
    total = utf16_length(stripped)
    kept: list[Entity] = []
    for entity in entities:
        start = max(entity["offset"] - cut, 0)
        end = min(entity["offset"] + entity["length"] - cut, total)
        if end > start:
            kept.append(entity | {"offset": start, "length": end - start})
    return stripped, kept


def validate(text: str, entities: list[Any]) -> list[Entity]:
    """Entities given as JSON, checked against the text they belong to."""
    total = utf16_length(text)
    for entity in entities:
        if not isinstance(entity, dict):
            raise bad_request("can't parse MessageEntity: expected an Object")
        for name, kind in (("type", str), ("offset", int), ("length", int)):
            if name not in entity:
                raise bad_request(f"can't parse MessageEntity: Can't find field \"{name}\"")
            if not isinstance(entity[name], kind):
                expected = "String" if kind is str else "Number"
                raise bad_request(f"can't parse MessageEntity: Field \"{name}\" must be of type {expected}")
        if entity["type"] not in _TYPES:
            raise bad_request("can't parse MessageEntity: Unsupported type specified")
        required = _REQUIRED_FIELDS.get(entity["type"])
        if required and required not in entity:
            raise bad_request(f"can't parse MessageEntity: Can't find field \"{required}\"")
        if entity["offset"] < 0 or entity["length"] <= 0 or entity["offset"] + entity["length"] > total:
            # The server cuts or drops it; for a client it is always a wrong offset.
            raise bad_request("entity is out of the text's bounds")
    return list(entities)


def _trim_url(url: str) -> str:
    url = url.rstrip(_URL_TAIL)
    while url.endswith(")") and url.count(")") > url.count("("):
        url = url[:-1].rstrip(_URL_TAIL)
    return url
