"""Reactions, chat actions, and questions about a chat."""

from __future__ import annotations

import time
from typing import Any

from ..errors import bad_request
from ..world import Call

Json = dict[str, Any]
_ACTIONS = {
    "typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice", "upload_document",
    "choose_sticker", "find_location", "record_video_note", "upload_video_note",
}  # fmt: skip
# The emoji that everybody may react with; a bot can use no others.
REACTIONS = frozenset(
    [
        "❤", "👍", "👎", "🔥", "🥰", "👏", "😁", "🤔", "🤯", "😱", "🤬", "😢",
        "🎉", "🤩", "🤮", "💩", "🙏", "👌", "🕊", "🤡", "🥱", "🥴", "😍", "🐳",
        "❤‍🔥", "🌚", "🌭", "💯", "🤣", "⚡", "🍌", "🏆", "💔", "🤨", "😐", "🍓",
        "🍾", "💋", "🖕", "😈", "😴", "😭", "🤓", "👻", "👨‍💻", "👀", "🎃", "🙈",
        "😇", "😨", "🤝", "✍", "🤗", "🫡", "🎅", "🎄", "☃", "💅", "🤪", "🗿",
        "🆒", "💘", "🙉", "🦄", "😘", "💊", "🙊", "😎", "👾", "🤷‍♂", "🤷", "🤷‍♀",
        "😡",
    ]
)  # fmt: skip


def _reaction(item: Any) -> Json:
    if not isinstance(item, dict):
        raise bad_request("can't parse ReactionType: expected an Object")
    kind = item.get("type")
    if kind is None:
        raise bad_request("can't parse ReactionType: Can't find field \"type\"")
    if kind not in ("emoji", "custom_emoji"):
        raise bad_request("can't parse ReactionType: invalid reaction type specified")
    name = "emoji" if kind == "emoji" else "custom_emoji_id"
    if name not in item:
        raise bad_request(f"can't parse ReactionType: Can't find field \"{name}\"")
    if set(item) != {"type", name}:
        raise bad_request(f"unknown field in ReactionType: {', '.join(sorted(set(item) - {'type', name}))}")
    # A variation selector makes no other emoji.
    if kind != "emoji" or str(item[name]).replace("\ufe0f", "") not in REACTIONS:
        raise bad_request("REACTION_INVALID")
    return {"type": "emoji", "emoji": str(item[name]).replace("\ufe0f", "")}


async def set_message_reaction(call: Call) -> bool:
    reactions = [_reaction(item) for item in call.get("reaction", [])]
    chat = call.chat()
    message = call.message(chat, "react")
    if len(reactions) > 1:
        raise bad_request("REACTIONS_TOO_MANY")
    message.reactions = reactions
    message.reaction_history.append({"reaction": reactions, "at": time.time()})
    call.world.reflect(call.bot, chat, "reactions", message)
    return True


async def send_chat_action(call: Call) -> bool:
    chat = call.writable_chat()
    call.thread(chat)
    if call.require("action").lower() not in _ACTIONS:
        raise bad_request("wrong parameter action in request")
    return True


async def get_chat(call: Call) -> Json:
    chat = call.readable_chat()
    pinned = next((message for message in map(chat.find, reversed(chat.pinned)) if message), None)
    return chat.body() | ({"pinned_message": pinned.visible()} if pinned else {}) | {
        "accent_color_id": chat.id % 7,
        "max_reaction_count": 11,
        "accepted_gift_types": {
            "unlimited_gifts": True,
            "limited_gifts": True,
            "unique_gifts": True,
            "premium_subscription": True,
            "gifts_from_channels": True,
        },
    }


async def get_chat_member(call: Call) -> Json:
    chat = call.readable_chat()
    user_id = call.get("user_id", 0)
    if user_id <= 0:
        raise bad_request("invalid user_id specified")
    if user_id == call.bot.id:
        return _member(call.bot.user(), chat.bot_status)
    user = call.bot.users.get(user_id)
    if user is None:
        raise bad_request("user not found")
    return _member(user, "member" if user_id in chat.members else "left")


def _member(user: Json, status: str) -> Json:
    member: Json = {"user": user, "status": status}
    if status == "administrator":
        rights = ("can_manage_chat", "can_change_info", "can_delete_messages", "can_invite_users",
                  "can_restrict_members", "can_promote_members", "can_manage_video_chats", "can_post_stories",
                  "can_edit_stories", "can_delete_stories")  # fmt: skip
        member |= {"can_be_edited": False, "is_anonymous": False} | dict.fromkeys(rights, True)
    return member
