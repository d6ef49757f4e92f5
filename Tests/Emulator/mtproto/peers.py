"""Resolves input peers and shows peers."""

from __future__ import annotations

from typing import Any

from botapi.model import Chat

from .account import CHANNEL_BASE, SHARED, Account
from .errors import RpcError, bad_request
from .tl import Raw, types

Json = dict[str, Any]


SEEDED_USERS = 6_000_000_000
"""The senders of seeded messages have ids from here on, the same people in all chats."""


def channel_id(chat_id: int) -> int:
    """Between the Bot API's id of a channel and TL's: the same both ways."""
    return CHANNEL_BASE - chat_id


def peer(chat_id: int) -> Any:
    if chat_id > 0:
        return types.PeerUser(chat_id)
    return types.PeerChannel(channel_id(chat_id)) if chat_id < CHANNEL_BASE else types.PeerChat(-chat_id)


def chat_of(account: Account, given: Any) -> Chat:
    """The chat of an InputPeer, opened if it is a person never spoken to.

    - Raises RpcError: a wrong access_hash, nobody known, or a channel that the account may not see.
    """
    if isinstance(given, types.InputPeerSelf):
        return _private(account, account.id)
    if isinstance(given, (types.InputPeerUser, types.InputPeerUserFromMessage)):
        return _private(account, user_of(account, given)["id"])
    if isinstance(given, types.InputPeerChat):
        chat = account.chats.get(-given.chat_id)
        if chat is None or chat.type != "group":
            raise bad_request("CHAT_ID_INVALID" if account.is_bot else "PEER_ID_INVALID")
        return chat
    if isinstance(given, (types.InputPeerChannel, types.InputPeerChannelFromMessage)):
        return channel_of(account, given)
    raise bad_request("PEER_ID_INVALID")


def _private(account: Account, user_id: int) -> Chat:
    return account.chats.get(user_id) or account.open_chat(user_id, "private")


def user_of(account: Account, given: Any) -> Json:
    """The person of an InputUser or InputPeer."""
    if isinstance(given, (types.InputUserSelf, types.InputPeerSelf)):
        return account.user()
    known = (types.InputUser, types.InputPeerUser, types.InputUserFromMessage, types.InputPeerUserFromMessage)
    if not isinstance(given, known) or given.user_id not in account.users:
        raise bad_request("USER_ID_INVALID" if "Peer" not in type(given).__name__ else "PEER_ID_INVALID")
    if isinstance(given, (types.InputUserFromMessage, types.InputPeerUserFromMessage)):
        if chat_of(account, given.peer).find(given.msg_id) is None:
            raise bad_request("MSG_ID_INVALID")
    if isinstance(given, (types.InputUser, types.InputPeerUser)) and given.user_id != account.id:
        # Bots may leave the hash at zero for people they know.
        right = account.directory.hash_for(account, "peer", given.user_id)
        if given.access_hash != right and not (account.is_bot and given.access_hash == 0):
            raise bad_request("USER_ID_INVALID" if isinstance(given, types.InputUser) else "PEER_ID_INVALID")
    return account.users[given.user_id]


def channel_of(account: Account, given: Any) -> Chat:
    """The chat of an InputChannel or InputPeerChannel, if the account may read it."""
    if getattr(given, "channel_id", None) is None:
        raise bad_request("CHANNEL_INVALID")
    chat = account.directory.find_shared(channel_id(given.channel_id))
    if chat is None:
        raise bad_request("CHANNEL_INVALID")
    right = account.directory.hash_for(account, "peer", chat.id)
    if hasattr(given, "access_hash") and given.access_hash != right and not (account.is_bot and given.access_hash == 0):
        raise bad_request("CHANNEL_INVALID")
    if (not account.sees(chat) and not chat.username) or chat.id in account.hidden:
        raise RpcError(400, "CHANNEL_PRIVATE")
    return chat


def show_user(account: Account, user: Json, *, is_min: bool = False) -> Any:
    identity = user["id"]
    is_self = identity == account.id
    known = account.directory.accounts.get(identity)
    return types.User(
        identity, is_self=is_self or None, bot=bool(user.get("is_bot")) or None, min=(is_min and not is_self) or None,
        premium=(known is not None and known.identity.premium) or None,
        bot_info_version=1 if user.get("is_bot") else None,
        access_hash=account.directory.hash_for(account, "min" if is_min and not is_self else "peer", identity),
        first_name=user.get("first_name"), last_name=user.get("last_name"), username=user.get("username"),
        phone=account.identity.phone or None if is_self else None, status=types.UserStatusRecently(),
    )  # fmt: skip


def show_chat(account: Account, chat: Chat) -> Any:
    photo = types.ChatPhotoEmpty()
    date = chat.messages[chat.ids[0]].body["date"] if chat.ids else 1_700_000_000
    if chat.type == "group":
        moved: dict[str, Any] = {}
        if chat.migrated_to is not None:
            right = account.directory.hash_for(account, "peer", chat.migrated_to)
            moved = {"deactivated": True, "migrated_to": types.InputChannel(channel_id(chat.migrated_to), right)}
        return types.Chat(-chat.id, chat.title, photo, max(len(chat.members), 1), date, 1, **moved)
    is_member = account.sees(chat) and chat.id not in account.hidden
    return types.Channel(
        channel_id(chat.id), chat.title, photo, date, broadcast=chat.type == "channel" or None,
        megagroup=chat.type == "supergroup" or None, left=None if is_member else True,
        access_hash=account.directory.hash_for(account, "peer", chat.id), username=chat.username,
        admin_rights=_admin_rights() if is_member and chat.type == "channel" else None,
        forum=bool(chat.threads) or None, has_link=chat.is_linked or None, participants_count=max(len(chat.members), 1),
    )  # fmt: skip


def _admin_rights() -> Any:
    return types.ChatAdminRights(post_messages=True, edit_messages=True, delete_messages=True)


class Cast:
    """Collects all peers that an answer mentions, while the answer is made."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._users: dict[int, Json] = {}
        self._chats: dict[int, Chat] = {}

    def add_user(self, identity: int) -> None:
        user = self._account.users.get(identity)
        if user is not None:
            self._users[identity] = user

    def add_chat(self, chat: Chat) -> None:
        if chat.type == "private":
            self.add_user(chat.id)
            self.add_user(self._account.id)
        else:
            self._chats[chat.id] = chat

    def add_shared(self, chat_id: int) -> None:
        chat = self._account.directory.find_shared(chat_id)
        if chat is not None:
            self._chats[chat.id] = chat

    @property
    def user_ids(self) -> set[int]:
        return set(self._users)

    def users(self, *, is_min: bool = False) -> list[Any]:
        if not is_min:
            self._account.seen_users |= self._users.keys()
        known = self._account.shown_users
        return [known.get(identity) or self._show(user, is_min) for identity, user in self._users.items()]

    def _show(self, user: Json, is_min: bool) -> Any:
        shown = show_user(self._account, user, is_min=is_min)
        if user["id"] >= SEEDED_USERS and not is_min:
            # Pages of long histories mention these people over and over.
            shown = self._account.shown_users[user["id"]] = Raw(bytes(shown))
        return shown

    def chats(self) -> list[Any]:
        return [show_chat(self._account, chat) for chat in self._chats.values()]


__all__ = ["SHARED", "Cast", "channel_id", "channel_of", "chat_of", "peer", "show_chat", "show_user", "user_of"]
