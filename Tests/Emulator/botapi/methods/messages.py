"""Text messages, forwards and copies."""

from __future__ import annotations

import copy
import time
from typing import Any

from ..content import MEDIA_KINDS, has_media
from ..errors import bad_request
from ..formatting import caption, message_text
from ..markup import check_link_preview_options
from ..model import Chat, Message
from ..world import Call
from .delivery import deliver

Json = dict[str, Any]
MAX_FORWARDED = 100
_CONTENT = ("text", "entities", "caption", "caption_entities", "link_preview_options", "show_caption_above_media",
            "has_media_spoiler", *MEDIA_KINDS)  # fmt: skip


def text_content(call: Call) -> Json:
    text, entities = message_text(call.parameters)
    content: Json = {"text": text}
    entities = call.bot.resolve_mentions(entities)
    if entities:
        content["entities"] = entities
    preview = call.get("link_preview_options")
    if preview is not None:
        check_link_preview_options(preview)
        content["link_preview_options"] = preview
    return content


def caption_content(call: Call) -> Json:
    text, entities = caption(call.parameters)
    if not text:
        return {}
    content: Json = {"caption": text}
    entities = call.bot.resolve_mentions(entities)
    if entities:
        content["caption_entities"] = entities
    return content


async def send_message(call: Call) -> Json:
    return deliver(call, text_content(call)).body


async def forward_message(call: Call) -> Json:
    source, original = _original(call, "forward")
    return deliver(call, _content_of(original) | {"forward_origin": _origin(source, original)}).body


def _origin(source: Chat, original: Message) -> Json:
    known: Json | None = original.body.get("forward_origin")
    if known is not None:
        return known
    if source.type == "channel":
        return {"type": "channel", "date": original.body["date"], "chat": source.body(), "message_id": original.id}
    return {"type": "user", "date": original.body["date"], "sender_user": original.body["from"]}


async def forward_messages(call: Call) -> list[Json]:
    return _send_again(call, is_copy=False)


async def copy_messages(call: Call) -> list[Json]:
    return _send_again(call, is_copy=True)


def _send_again(call: Call, *, is_copy: bool) -> list[Json]:
    """Messages that cannot be found, forwarded or copied are skipped without a word. Albums stay albums."""
    call.writable_chat()
    source, ids = call.chat("from_chat_id"), call.get("message_ids")
    if not ids:
        raise bad_request("message identifiers are not specified")
    if len(ids) > MAX_FORWARDED:
        raise bad_request("too many message identifiers specified")
    if ids != sorted(set(ids)):
        raise bad_request("message identifiers must be in a strictly increasing order")
    originals = [message for message in map(source.find, ids) if message is not None and not message.body.get("has_protected_content")]
    if not originals:
        raise bad_request(f"there are no messages to {'copy' if is_copy else 'forward'}")
    groups: dict[str, str] = {}
    sent = []
    for original in originals:
        content = _content_of(original)
        if not is_copy:
            content["forward_origin"] = _origin(source, original)
        group = original.body.get("media_group_id")
        if group is not None:
            content["media_group_id"] = groups.setdefault(group, f"{group}-{len(groups)}-{time.time_ns()}")
        sent.append({"message_id": deliver(call, content).id})
    return sent


async def copy_message(call: Call) -> Json:
    _, original = _original(call, "copy")
    content = _content_of(original)
    # An empty caption counts as none given, so here it keeps the original's; the real server would remove that.
    if has_media(original.body) and call.get("caption") is not None:
        content.pop("caption", None)
        content.pop("caption_entities", None)
        content |= caption_content(call)
    return {"message_id": deliver(call, content).id}


def _original(call: Call, purpose: str) -> tuple[Chat, Message]:
    call.writable_chat()
    source = call.chat("from_chat_id")
    original = call.message(source, purpose)
    if original.body.get("has_protected_content"):
        raise bad_request("message can't be forwarded" if purpose == "forward" else "message can't be copied")
    return source, original


def _content_of(message: Message) -> Json:
    return {key: copy.deepcopy(message.body[key]) for key in _CONTENT if key in message.body}
