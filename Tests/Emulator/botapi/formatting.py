"""From the parameters of a call to a message's text or caption with its entities."""

from __future__ import annotations

from typing import Any

from . import html_mode, markdown_mode
from .entities import Entity, detect, trim, utf16_length, validate
from .errors import bad_request

MAX_TEXT = 4096
MAX_CAPTION = 1024

_MODES = {
    "html": html_mode.parse,
    "markdownv2": markdown_mode.parse_v2,
    "markdown": markdown_mode.parse_legacy,
}
Formatted = tuple[str, list[Entity]]


def format_text(source: str, parse_mode: str | None, entities: list[Any] | None) -> Formatted:
    """A parse mode wins over entities, as on the server."""
    given: list[Entity] = []
    if parse_mode:
        parse = _MODES.get(parse_mode.lower())
        if parse is None:
            raise bad_request("unsupported parse_mode")
        source, given = parse(source)
    elif entities:
        given = validate(source, entities)
    text, kept = trim(source, given)
    return text, detect(text, kept)


def message_text(parameters: dict[str, Any]) -> Formatted:
    text, entities = format_text(
        parameters.get("text", ""), parameters.get("parse_mode"), parameters.get("entities")
    )
    if not text:
        raise bad_request("message text is empty")
    if utf16_length(text) > MAX_TEXT:
        raise bad_request("message is too long")
    return text, entities


def caption(parameters: dict[str, Any]) -> Formatted:
    text, entities = format_text(
        parameters.get("caption", ""), parameters.get("parse_mode"), parameters.get("caption_entities")
    )
    if utf16_length(text) > MAX_CAPTION:
        raise bad_request("message caption is too long")
    return text, entities
