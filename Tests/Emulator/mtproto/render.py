"""Messages and changes as TL, seen by one account."""

from __future__ import annotations

from typing import Any

from botapi.model import Chat, Message

from .account import SHARED, Account
from .changes import Change
from .formatting import to_tl
from .peers import Cast, channel_id, peer
from .seeded.history import SeededChat
from .seeded.message import SeededMessage
from .tl import build, types

Json = dict[str, Any]


def message(account: Account, chat: Chat, item: Message, cast: Cast) -> Any:
    body = item.body
    if item.deleted:
        return types.MessageEmpty(item.id, peer(chat.id))
    cast.add_chat(chat)
    if isinstance(item, SeededMessage) and isinstance(chat, SeededChat):
        return chat.render(account, [item.id], cast)[0]
    sender = body.get("from")
    if sender is not None:
        cast.add_user(sender["id"])
    is_post = chat.type == "channel"
    from_id = None
    if sender is not None and not is_post and (chat.type != "private" or sender["id"] == account.id):
        from_id = types.PeerUser(sender["id"])
    if "service" in body:
        return types.MessageService(
            id=item.id, peer_id=peer(chat.id), date=body["date"], action=build(body["service"]), from_id=from_id,
            out=account.is_own(item) or None, post=is_post or None,
        )  # fmt: skip
    entities = to_tl(body.get("entities") or body.get("caption_entities") or [])
    for entity in entities:
        if isinstance(entity, types.MessageEntityMentionName):
            cast.add_user(entity.user_id)
    return types.Message(
        item.id, peer(chat.id), body["date"], str(body.get("text", body.get("caption", ""))),
        out=(account.is_own(item) and not (chat.type == "private" and chat.id == account.id)) or None,
        post=is_post or None, from_id=from_id, fwd_from=_forward(body, cast), reply_to=_reply(chat, body),
        media=account.directory.media.media(account, body, (chat.id, item.id)), entities=entities or None,
        views=1 if is_post else None, forwards=0 if is_post else None, edit_date=body.get("edit_date"),
        grouped_id=int(body["media_group_id"]) if "media_group_id" in body else None,
        reactions=reactions(item) if item.reactions else None,
        noforwards=bool(body.get("has_protected_content")) or None,
    )  # fmt: skip


def _reply(chat: Chat, body: Json) -> Any:
    target = body.get("reply_to_message")
    thread = body.get("message_thread_id")
    if target is None:
        return types.MessageReplyHeader(forum_topic=True, reply_to_msg_id=thread) if thread else None
    quote = body.get("quote")
    return types.MessageReplyHeader(
        reply_to_msg_id=target["message_id"], reply_to_top_id=thread, forum_topic=bool(thread) or None,
        quote=quote is not None or None, quote_text=quote["text"] if quote else None,
        quote_offset=quote["position"] if quote else None,
    )  # fmt: skip


def _forward(body: Json, cast: Cast) -> Any:
    origin = body.get("forward_origin")
    if origin is None:
        return None
    if origin["type"] == "channel":
        cast.add_shared(origin["chat"]["id"])
        return types.MessageFwdHeader(
            origin["date"], from_id=peer(origin["chat"]["id"]), channel_post=origin["message_id"]
        )
    cast.add_user(origin["sender_user"]["id"])
    return types.MessageFwdHeader(origin["date"], from_id=types.PeerUser(origin["sender_user"]["id"]))


def reactions(item: Message) -> Any:
    counts: dict[str, int] = {}
    for reaction in item.reactions:
        counts[reaction["emoji"]] = counts.get(reaction["emoji"], 0) + 1
    results = [types.ReactionCount(types.ReactionEmoji(emoji), count) for emoji, count in counts.items()]
    return types.MessageReactions(results, can_see_list=True)


def altered(shown: Any, item: SeededMessage, cast: Cast) -> Any:
    """Return a seeded message with the changes that were made to its object."""
    body = item.body
    if body.get("text") != item.original.get("text"):
        shown.message, shown.entities = str(body.get("text", "")), to_tl(body.get("entities", [])) or None
        for entity in shown.entities or []:
            if isinstance(entity, types.MessageEntityMentionName):
                cast.add_user(entity.user_id)
    if "edit_date" in body:
        shown.edit_date = body["edit_date"]
    if item.reactions:
        shown.reactions = reactions(item)
    return shown


def messages(account: Account, chat: Chat, items: list[Message], cast: Cast) -> list[Any]:
    return [message(account, chat, item, cast) for item in items]


def change(account: Account, chat: Chat, item: Change, cast: Cast) -> Any:
    """The update of a change."""
    is_shared = chat.type in SHARED
    cast.add_chat(chat)
    if item.kind in ("new", "edit"):
        target = chat.messages.get(item.message_ids[0])
        shown = None if target is None else message(account, chat, target, cast)
        if shown is None or isinstance(shown, types.MessageEmpty):
            # Changed and removed since: the client still has to learn of the numbers.
            return _deleted(chat, item)
        kinds = {
            ("new", True): types.UpdateNewChannelMessage, ("new", False): types.UpdateNewMessage,
            ("edit", True): types.UpdateEditChannelMessage, ("edit", False): types.UpdateEditMessage,
        }  # fmt: skip
        return kinds[item.kind, is_shared](shown, item.pts, item.pts_count)
    if item.kind == "delete":
        return _deleted(chat, item)
    if item.kind == "reactions":
        target = chat.messages[item.message_ids[0]]
        return types.UpdateMessageReactions(peer(chat.id), target.id, reactions(target))
    if item.kind == "read_outbox":
        return types.UpdateReadHistoryOutbox(peer(chat.id), item.max_id, item.pts, item.pts_count)
    return types.UpdateReadHistoryInbox(peer(chat.id), item.max_id, 0, item.pts, item.pts_count)


def _deleted(chat: Chat, item: Change) -> Any:
    if chat.type in SHARED:
        return types.UpdateDeleteChannelMessages(channel_id(chat.id), item.message_ids, item.pts, item.pts_count)
    return types.UpdateDeleteMessages(item.message_ids, item.pts, item.pts_count)


def short(account: Account, chat: Chat, item: Change) -> Any:
    """The short form of a new plain text message; None where the long one is needed."""
    if item.kind != "new" or chat.type not in ("private", "group") or chat.id == account.id:
        return None
    target = chat.messages[item.message_ids[0]]
    body = target.body
    plain = {"message_id", "from", "chat", "date", "text", "entities", "reply_to_message"}
    sender = body.get("from", {}).get("id", account.id)
    needed = {sender, chat.id} if chat.type == "private" else {sender}
    if target.deleted or body.keys() - plain or not needed <= account.seen_users:
        return None
    entities = to_tl(body.get("entities", []))
    if any(isinstance(entity, types.MessageEntityMentionName) for entity in entities):
        return None
    common = {"out": account.is_own(target) or None, "entities": entities or None, "reply_to": _reply(chat, body)}
    if chat.type == "private":
        return types.UpdateShortMessage(
            target.id, chat.id, str(body["text"]), item.pts, item.pts_count, body["date"], **common
        )
    return types.UpdateShortChatMessage(
        target.id, sender, -chat.id, str(body["text"]), item.pts, item.pts_count, body["date"], **common
    )


def updates(account: Account, items: list[Any], cast: Cast, date: float, *, seq: int = 0, is_min: bool = False) -> Any:
    return types.Updates(items, cast.users(is_min=is_min), cast.chats(), int(date), seq)
