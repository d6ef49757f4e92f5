"""Message entities between the Bot API's form and TL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botapi.entities import detect, sort, trim, utf16_length

from .errors import bad_request
from .tl import types

if TYPE_CHECKING:
    from .account import Account

Json = dict[str, Any]
MAX_TEXT, MAX_CAPTION, MAX_ENTITIES = 4096, 1024, 100
_PLAIN: dict[str, Any] = {
    "mention": types.MessageEntityMention, "hashtag": types.MessageEntityHashtag,
    "cashtag": types.MessageEntityCashtag, "bot_command": types.MessageEntityBotCommand, "url": types.MessageEntityUrl,
    "email": types.MessageEntityEmail, "phone_number": types.MessageEntityPhone, "bold": types.MessageEntityBold,
    "italic": types.MessageEntityItalic, "underline": types.MessageEntityUnderline,
    "strikethrough": types.MessageEntityStrike, "spoiler": types.MessageEntitySpoiler, "code": types.MessageEntityCode,
}  # fmt: skip
_NAMES = {kind: name for name, kind in _PLAIN.items()}


def to_tl(entities: list[Json]) -> list[Any]:
    return [made for entity in entities if (made := _to_tl(entity)) is not None]


def _to_tl(entity: Json) -> Any:
    place = (entity["offset"], entity["length"])
    kind = entity["type"]
    if kind in _PLAIN:
        return _PLAIN[kind](*place)
    if kind == "pre":
        return types.MessageEntityPre(*place, entity.get("language", ""))
    if kind == "text_link":
        return types.MessageEntityTextUrl(*place, entity["url"])
    if kind == "text_mention":
        return types.MessageEntityMentionName(*place, entity["user"]["id"])
    if kind == "custom_emoji":
        return types.MessageEntityCustomEmoji(*place, int(entity["custom_emoji_id"]))
    if kind in ("blockquote", "expandable_blockquote"):
        return types.MessageEntityBlockquote(*place, collapsed=kind == "expandable_blockquote" or None)
    return None


def from_tl(account: Account, entities: list[Any]) -> list[Json]:
    return [made for entity in entities if (made := _from_tl(account, entity)) is not None]


def _from_tl(account: Account, entity: Any) -> Json | None:
    place = {"offset": entity.offset, "length": entity.length}
    kind = type(entity)
    if kind in _NAMES:
        return {"type": _NAMES[kind]} | place
    if kind is types.MessageEntityPre:
        return {"type": "pre"} | place | ({"language": entity.language} if entity.language else {})
    if kind is types.MessageEntityTextUrl:
        return {"type": "text_link"} | place | {"url": entity.url}
    if kind is types.MessageEntityCustomEmoji:
        return {"type": "custom_emoji"} | place | {"custom_emoji_id": str(entity.document_id)}
    if kind is types.MessageEntityBlockquote:
        return {"type": "expandable_blockquote" if entity.collapsed else "blockquote"} | place
    if kind in (types.InputMessageEntityMentionName, types.MessageEntityMentionName):
        identity = getattr(entity.user_id, "user_id", entity.user_id)
        user = account.users.get(identity if isinstance(identity, int) else account.id)
        return None if user is None else {"type": "text_mention"} | place | {"user": user}
    return None


def message_text(account: Account, text: str, entities: list[Any] | None, *, is_caption: bool = False) -> Json:
    """The content of a message as the server keeps it: trimmed, with the links it found.

    - Raises RpcError: empty, too long, or entities out of bounds.
    """
    given = from_tl(account, entities or [])
    total = utf16_length(text)
    if len(given) > MAX_ENTITIES:
        raise bad_request("ENTITIES_TOO_LONG")
    for entity in given:
        if entity["offset"] < 0 or entity["length"] <= 0 or entity["offset"] + entity["length"] > total:
            raise bad_request("ENTITY_BOUNDS_INVALID")
    text, given = trim(text, sort(given))
    if utf16_length(text) > (MAX_CAPTION if is_caption else MAX_TEXT):
        raise bad_request("MEDIA_CAPTION_TOO_LONG" if is_caption else "MESSAGE_TOO_LONG")
    if not text:
        if is_caption:
            return {}
        raise bad_request("MESSAGE_EMPTY")
    found = detect(text, given)
    key = "caption" if is_caption else "text"
    return {key: text} | ({f"{'caption_' if is_caption else ''}entities": found} if found else {})
