"""Private chats between two emulated users: each one's changes appear in the other's view."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from botapi.content import MEDIA_KINDS, media_content
from botapi.filestore import FileStore
from botapi.model import Bot, Chat, Message, View

Json = dict[str, Any]
_CHANGED = ("text", "entities", "caption", "caption_entities", "edit_date", *MEDIA_KINDS)
_OWN = ("message_id", "chat", "reply_to_message", "reply_markup")
KINDS = frozenset({"new", "edit", "delete", "reactions"})


class Mirror:
    def __init__(self, files: FileStore, views: Callable[[int], list[View]]) -> None:
        """- Parameter views: all views of one account or bot, by its id. A bot has two: its token is good for both."""
        self._files, self._views = files, views

    def reflect(self, source: View, chat: Chat, kind: str, message_ids: list[int]) -> None:
        if chat.type != "private" or chat.id == source.id or kind not in KINDS:
            return
        for partner in self._views(chat.id):
            there = partner.chats.get(source.id) or self._meet(partner, source)
            twins = []
            for message_id in message_ids:
                message = chat.messages[message_id]
                twin = message.twins.get(partner)
                if twin is None and kind == "new":
                    twin = self._copy(source, chat, message, partner, there)
                if twin is not None:
                    self._bring_up_to_date(partner, there, message, twin, kind)
                    twins.append(twin)
            if twins:
                partner.reflected(kind, there, twins)

    @staticmethod
    def _meet(partner: View, source: View) -> Chat:
        user = source.user()
        partner.users.setdefault(source.id, user)
        there = partner.open_chat(source.id, "private")
        there.first_name, there.username = user["first_name"], user.get("username")
        there.members.add(source.id)
        return there

    def _copy(self, source: View, chat: Chat, message: Message, partner: View, there: Chat) -> Message:
        twin = partner.new_message(there, by_bot=False, date=message.body["date"])
        twin.body |= {key: copy.deepcopy(value) for key, value in message.body.items() if key not in _OWN}
        self._own_files(partner, twin.body)
        twin.by_account = message.by_account
        target = message.body.get("reply_to_message")
        original = chat.messages.get(target["message_id"]) if target else None
        if original is not None and partner in original.twins:
            twin.body["reply_to_message"] = copy.deepcopy(original.twins[partner].visible())
        message.twins[partner], twin.twins[source] = twin, message
        return twin

    def _bring_up_to_date(self, partner: View, there: Chat, message: Message, twin: Message, kind: str) -> None:
        if kind == "edit":
            for key in _CHANGED:
                twin.body.pop(key, None)
            twin.body |= {key: copy.deepcopy(message.body[key]) for key in _CHANGED if key in message.body}
            self._own_files(partner, twin.body)
        if message.deleted:
            there.delete(twin)
        twin.reactions = message.reactions

    def _own_files(self, partner: View, body: Json) -> None:
        """A bot has file_ids of its own for the same bytes."""
        kind = next((kind for kind in MEDIA_KINDS if kind in body), None)
        if kind is None or not isinstance(partner, Bot):
            return
        item = body[kind][0] if kind == "photo" else body[kind]
        file = self._files.known(item["file_id"])
        if file is not None:
            own = self._files.issue(partner.id, kind, file.blob, file.file_name, file.mime_type, file.attributes)
            body |= media_content(own)
