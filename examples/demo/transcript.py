"""Prints a chat while it goes on, as the person in it would see it."""

from __future__ import annotations

import time
from typing import Any

from chat import Person, Telegram

Json = dict[str, Any]
INDENT = " " * 11


class Transcript:
    """Watches one chat; `update` prints what is new in it."""

    def __init__(self, telegram: Telegram, person: Person) -> None:
        self._telegram = telegram
        self._person = person
        self._asked_at = time.time()
        self._seen: dict[int, _Seen] = {}

    def update(self) -> None:
        for record in self._telegram.chat(self._person):
            message = record["message"]
            if message["from"].get("is_bot"):
                self._show_bot(record)
            elif message["message_id"] not in self._seen:
                self._seen[message["message_id"]] = _Seen()
                self._asked_at = record["sent_at"]
                print(f"\n{self._person.name}: {message['text']}", flush=True)
            self._show_reactions(record)

    def _show_bot(self, record: Json) -> None:
        message = record["message"]
        seen = self._seen.get(message["message_id"])
        if seen is None:
            seen = self._seen[message["message_id"]] = _Seen()
            edited = record["edits"] and not describe(message)
            # An edit that came before the first look is shown as one below, with the text that it has now.
            self._line(record["sent_at"], "…" if edited else _content(message))
        for edit in record["edits"][seen.edits :]:
            seen.edits += 1
            self._line(edit["at"], f"(now) {edit.get('text', edit.get('caption'))}")
        if record["deleted"] and not seen.is_removed:
            seen.is_removed = True
            self._line(time.time(), f"(removed) {message.get('text', '')}")

    def _show_reactions(self, record: Json) -> None:
        seen = self._seen[record["message"]["message_id"]]
        reactions = [reaction.get("emoji", "?") for reaction in record["reactions"]]
        if reactions != seen.reactions:
            seen.reactions = reactions
            self._line(time.time(), f"reacts with {' '.join(reactions) or 'nothing any more'}")

    def _line(self, at: float, text: str) -> None:
        """One thing that the bot did, with the time since the question."""
        first, *rest = text.split("\n")
        print(f"{at - self._asked_at:+8.2f} s  {first}", flush=True)
        for line in rest:
            print(f"{INDENT} {line}", flush=True)


class _Seen:
    def __init__(self) -> None:
        self.edits = 0
        self.is_removed = False
        self.reactions: list[str] = []


def _content(message: Json) -> str:
    media = describe(message)
    return "\n".join(part for part in (media, message.get("text"), message.get("caption")) if part)


def describe(message: Json) -> str | None:
    """A line for the media of a message."""
    for kind in ("video", "audio", "animation", "document"):
        if kind in message:
            media = message[kind]
            facts = [media.get("title"), media.get("file_name")]
            facts.append(f"{media['duration'] // 60}:{media['duration'] % 60:02}" if "duration" in media else None)
            facts.append(f"{media['width']}×{media['height']}" if media.get("width") else None)
            facts.append(f"{media['file_size'] / 1000:.0f} kB")
            return f"[{kind}: {', '.join(fact for fact in facts if fact)}]"
    return None
