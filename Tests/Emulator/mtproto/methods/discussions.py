"""Comments on the posts of channels, topics of forums, and counters of views."""

from __future__ import annotations

from typing import Any

from botapi.model import Chat

from ..account import SHARED, Account
from ..errors import bad_request
from ..paging import cut, limit_of, page, shown_messages
from ..peers import Cast, channel_of, chat_of, peer
from ..rpc import Call, method
from ..search import Comments, Selection
from ..seeded.history import SeededChat
from ..tl import functions, types, where_known

GENERAL = 1
_ICON = 0x6FB9F0


def _thread(call: Call, request: Any) -> tuple[SeededChat, int]:
    """Returns the group and the id of the message that opens the thread.

    - Raises RpcError: a message without comments, or one that does not exist.
    """
    chat = chat_of(call.account, request.peer)
    if isinstance(chat, SeededChat) and chat.script.comments_in is not None:
        group = call.core.directory.find_shared(chat.script.comments_in)
        if request.msg_id not in chat.alive or not isinstance(group, SeededChat):
            raise bad_request("MSG_ID_INVALID")
        top = group.script.copy_of(request.msg_id)
        if top not in group.alive:
            raise bad_request("MSG_ID_INVALID")
        return group, top
    if not isinstance(chat, SeededChat) or chat.type not in SHARED:
        raise bad_request("PEER_ID_INVALID")
    is_opener = chat.script.is_topic(request.msg_id) or chat.script.is_copy(request.msg_id)
    if not is_opener and not (chat.script.topics and request.msg_id == GENERAL):
        raise bad_request("TOPIC_ID_INVALID" if chat.script.topics else "MSG_ID_INVALID")
    return chat, request.msg_id


def thread(chat: SeededChat, top: int) -> Selection | Comments:
    """The messages of a topic, with the one that opened it, or the comments on a post, without it."""
    if chat.script.copies_of is not None:
        return Comments(chat, top)
    wanted = None if top == GENERAL else top
    return Selection(chat, lambda identity: chat.thread_of(identity) == wanted, top)


@method(functions.messages.GetRepliesRequest, bots=False)
def get_replies(call: Call, request: Any) -> Any:
    chat, top = _thread(call, request)
    listing = thread(chat, top)
    if isinstance(listing, Comments):
        return page(call.account, chat, cut(listing, request, limit_of(request)), len(listing))
    total = chat.topic_sizes.get(None if top == GENERAL else top, 0)
    return page(call.account, chat, cut(listing, request, limit_of(request), count=False), total)


@method(functions.messages.GetDiscussionMessageRequest, bots=False)
def get_discussion_message(call: Call, request: Any) -> Any:
    chat, top = _thread(call, request)
    cast = Cast(call.account)
    cast.add_chat(chat)
    shown = shown_messages(call.account, chat, [top], cast)
    newest = next(thread(chat, top).ids_below(chat.end), None)
    return types.messages.DiscussionMessage(shown, 0, cast.chats(), cast.users(), max_id=newest, read_inbox_max_id=0)


def _topic(account: Account, chat: SeededChat, number: int, cast: Cast) -> tuple[Any, int]:
    """Returns a topic, and the id of its newest message. General is number 0."""
    identity = chat.script.first + number if number else GENERAL
    newest = next(thread(chat, identity).ids_below(chat.end), identity)
    script = chat.script
    title = script.topic_title(number) if number else "General"
    made = types.ForumTopic(
        id=identity, date=script.date(max(identity, script.first)), title=title, icon_color=_ICON, top_message=newest,
        read_inbox_max_id=0, read_outbox_max_id=0, unread_count=0, unread_mentions_count=0, unread_reactions_count=0,
        from_id=peer(chat.id), notify_settings=types.PeerNotifySettings(),
        **where_known(types.ForumTopic, peer=peer(chat.id), unread_poll_votes_count=0),
    )  # fmt: skip
    return made, newest


def _forum(call: Call, request: Any) -> SeededChat:
    is_older = hasattr(request, "channel")
    chat = channel_of(call.account, request.channel) if is_older else chat_of(call.account, request.peer)
    if not isinstance(chat, SeededChat) or not chat.script.topics:
        raise bad_request("CHANNEL_FORUM_MISSING")
    return chat


def get_forum_topics(call: Call, request: Any) -> Any:
    """The topics by their newest message, the newest first."""
    chat = _forum(call, request)
    cast = Cast(call.account)
    topics = [_topic(call.account, chat, number, cast) for number in range(chat.script.topics + 1)]
    topics.sort(key=lambda one: one[1], reverse=True)
    if request.q:
        topics = [one for one in topics if request.q.lower() in one[0].title.lower()]
    count = len(topics)
    if request.offset_id:
        topics = [one for one in topics if one[1] < request.offset_id]
    return _topics(call, chat, topics[: limit_of(request)], count, cast)


def get_forum_topics_by_id(call: Call, request: Any) -> Any:
    chat = _forum(call, request)
    cast, found = Cast(call.account), []
    for identity in request.topics:
        if identity == GENERAL:
            found.append(_topic(call.account, chat, 0, cast))
        elif chat.script.is_topic(identity):
            found.append(_topic(call.account, chat, identity - chat.script.first, cast))
        else:
            found.append((types.ForumTopicDeleted(identity), 0))
    return _topics(call, chat, found, len(found), cast)


def _topics(call: Call, chat: SeededChat, found: list[tuple[Any, int]], count: int, cast: Cast) -> Any:
    cast.add_chat(chat)
    newest = [identity for _, identity in found if identity in chat.alive]
    shown = shown_messages(call.account, chat, newest, cast)
    pts = call.account.log_of(chat).pts
    return types.messages.ForumTopics(count, [topic for topic, _ in found], shown, cast.chats(), cast.users(), pts)


# They have moved from one name space to the other with a later layer.
for _space in (functions.messages, functions.channels):
    for _name, _handler in (
        ("GetForumTopicsRequest", get_forum_topics), ("GetForumTopicsByIDRequest", get_forum_topics_by_id),
    ):  # fmt: skip
        if hasattr(_space, _name):
            method(getattr(_space, _name), bots=False)(_handler)


@method(functions.messages.GetMessagesViewsRequest, bots=False)
def get_messages_views(call: Call, request: Any) -> Any:
    account, chat = call.account, chat_of(call.account, request.peer)
    cast, found = Cast(account), []
    cast.add_chat(chat)
    for identity in request.id[:100]:
        message = _shown(account, chat, identity, cast)
        found.append(types.MessageViews(
            views=getattr(message, "views", None), forwards=getattr(message, "forwards", None),
            replies=getattr(message, "replies", None),
        ))  # fmt: skip
    return types.messages.MessageViews(found, cast.chats(), cast.users())


def _shown(account: Account, chat: Chat, identity: int, cast: Cast) -> Any:
    if chat.messages.get(identity) is None or next(chat.ids_below(identity + 1), None) != identity:
        return None
    shown = shown_messages(account, chat, [identity], cast)[0]
    return shown.object() if hasattr(shown, "object") else shown

