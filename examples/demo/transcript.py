"""Prints a chat as it develops, as the person in it sees it."""

from __future__ import annotations

import time
from typing import Any

from chat import Person, Telegram

Json = dict[str, Any]
INDENT = " " * 11


class Transcript:
    """Watches one chat. `update` prints the changes since the last call."""

    def __init__(self, telegram: Telegram, person: Person) -> None:
        self._telegram = telegram
        self._person = person
        self._asked_at = time.time()
        self._seen: dict[int, _Seen] = {}

    def update(self) -> None:
        now = time.time()
        events: list[tuple[float, str]] = []
        for record in self._telegram.chat(self._person):
            message = record["message"]
            seen = self._seen.get(message["message_id"])
            if seen is None:
                seen = self._seen[message["message_id"]] = _Seen()
                if self._telegram.is_answer(message):
                    events.append((seen.begin(record), _content(message)))
                else:
                    self._asked_at = record["sent_at"]
                    print(f"\n{self._person.name}: {message['text']}", flush=True)
            events += seen.changes(record, now)
        for at, text in sorted(events):
            self._line(at, text)

    def _line(self, at: float, text: str) -> None:
        """Prints one action of the bot, with the time since the user's message."""
        first, *rest = text.split("\n")
        print(f"{at - self._asked_at:+8.2f} s  {first}", flush=True)
        for line in rest:
            print(f"{INDENT} {line}", flush=True)


class _Seen:
    """Stores which changes of a message have been printed."""

    def __init__(self) -> None:
        self._edits = 0
        self._is_removed = False
        self._reactions: list[str] = []

    def begin(self, record: Json) -> float:
        """Returns the time since which a new message has had its present text.

        Earlier versions of the text were replaced before anyone could see them, so they are not printed.
        """
        self._edits = len(record["edits"])
        return float(record["edits"][-1]["at"] if record["edits"] else record["sent_at"])

    def changes(self, record: Json, now: float) -> list[tuple[float, str]]:
        edits = record["edits"][self._edits :]
        self._edits = len(record["edits"])
        # The lines below the first one do not change.
        changes = [(edit["at"], f"(now) {edit.get('text', edit.get('caption'))}".split("\n")[0]) for edit in edits]
        if record["deleted"] and not self._is_removed:
            self._is_removed = True
            changes.append((now, f"(removed) {record['message'].get('text', '')}".split("\n")[0]))
        reactions = [reaction.get("emoji", "?") for reaction in record["reactions"]]
        if reactions != self._reactions:
            self._reactions = reactions
            changes.append((now, f"(reaction) {' '.join(reactions) or 'taken back'}"))
        return changes


def _content(message: Json) -> str:
    media = describe(message)
    return "\n".join(part for part in (media, message.get("text"), message.get("caption")) if part)


def describe(message: Json) -> str | None:
    """Returns a one-line description of a message's media, or None if there are none."""
    for kind in ("video", "audio", "animation", "document"):
        if kind in message:
            media = message[kind]
            facts = [media.get("title"), media.get("file_name")]
            facts.append(f"{media['duration'] // 60}:{media['duration'] % 60:02}" if "duration" in media else None)
            facts.append(f"{media['width']}×{media['height']}" if media.get("width") else None)
            facts.append(f"{media['file_size'] / 1000:.0f} kB")
            return f"[{kind}: {', '.join(fact for fact in facts if fact)}]"
    return None
