"""Checks the result of a run, when all queues are empty."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chat import Person, Telegram

Json = dict[str, Any]
# How the messages begin that show progress.
PROGRESS = ("⏳", "⬇", "🎞", "📦", "⬆")


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Reads the options of a run. From then on, a run that is ended by SIGTERM ends what it has started, too."""
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    return options


@contextmanager
def run_folder(name: str, keeps: bool) -> Iterator[Path]:
    """Makes the folder of a run, and removes it at the end unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix=f"tgpipe-{name}-", dir="/tmp"))
    try:
        yield folder
    finally:
        if keeps:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Verdict:
    lines: list[tuple[bool, str]] = field(default_factory=list)

    def check(self, good: bool, what: str) -> None:
        self.lines.append((good, what))

    def show(self) -> None:
        for good, what in self.lines:
            print(f"{'ok' if good else 'FAILED':7}{what}", flush=True)

    @property
    def is_good(self) -> bool:
        return bool(self.lines) and all(good for good, _ in self.lines)


@dataclass
class Answers:
    """Counts the answers to all requests."""

    unanswered: list[Json] = field(default_factory=list)
    # The number of answers after the first one.
    doubles: int = 0
    errors: int = 0
    # The number of placeholder replies and progress messages that should have been removed.
    leftovers: int = 0

    @classmethod
    def of(
        cls, telegram: Telegram, people: list[Person], questions: dict[int, set[int]], spoken: dict[int, set[int]] | None = None
    ) -> Answers:
        """Takes `questions`, the message ids of the requests by the user's id, and `spoken`, those of them that are answered in words."""
        found = cls()
        for person in people:
            videos: Counter[int] = Counter()
            failures: Counter[int] = Counter()
            for record in telegram.chat(person):
                message = record["message"]
                asked = message.get("reply_to_message", {}).get("message_id")
                if record["deleted"] or asked not in questions[person.id]:
                    continue
                text = shown_text(record)
                if "video" in message or "audio" in message:
                    videos[asked] += 1
                elif text.startswith("❌"):
                    failures[asked] += 1
                elif spoken and asked in spoken[person.id] and not text.startswith(PROGRESS):
                    videos[asked] += 1
                else:
                    found.leftovers += 1
            for asked in questions[person.id]:
                answers = videos[asked] + failures[asked]
                if answers == 0:
                    found.unanswered.append({"person": person.id, "message": asked})
                found.doubles += max(0, answers - 1)
                found.errors += failures[asked]
        return found

    def judge(
        self, verdict: Verdict, asked: int, telegram: Telegram, expected_errors: int = 0, missed: Counter[str] | None = None,
        hasty_elections: int = 0,
    ) -> None:
        """- Parameters:
            - missed: see `missed_answers`; they are unknown to the emulator where the network was cut.
            - hasty_elections: see `Sentinels.hasty_elections`. After one, what was sent in the second before may be sent again.
        """
        missed = missed or Counter()
        lost_videos = sum(missed[method] + lost_answers(telegram, method) for method in ("sendVideo", "sendAudio"))
        lost_texts = missed["sendMessage"] + lost_answers(telegram, "sendMessage")
        verdict.check(not self.unanswered, f"{asked} requests, {len(self.unanswered)} not answered {self.unanswered[:3] or ''}")
        verdict.check(self.errors == expected_errors, f"{self.errors} of them answered with an error, {expected_errors} of which must be")
        also = f", and Redis replaced its primary server twice within 5 s, {hasty_elections} times" if hasty_elections else ""
        verdict.check(
            self.doubles <= lost_videos or bool(hasty_elections),
            f"{self.doubles} videos twice: tg-send was not told how {lost_videos} of its calls ended{also}",
        )
        verdict.check(
            self.leftovers <= lost_texts or bool(hasty_elections),
            f"{self.leftovers} progress messages left behind: it was not told how {lost_texts} of its calls ended{also}",
        )


def files_below(folder: Path) -> list[Path]:
    """Returns the files in a folder and its subfolders, some of which may be removed meanwhile."""
    return [Path(place) / name for place, _, names in os.walk(folder) for name in names]


def shown_text(record: Json) -> str:
    """Returns the text that a message shows after its edits."""
    edits = record.get("edits") or []
    return str((edits[-1].get("text") if edits else record["message"].get("text")) or "")


def lost_answers(telegram: Telegram, method: str) -> int:
    """Returns the number of calls that may have been performed although their answer was lost."""
    return sum(call["status"] is None for call in telegram.calls(method))


def missed_answers(logs: list[Path]) -> Counter[str]:
    """Returns how often a tg-send had no answer to a call that it had made, by the method, as it says itself."""
    found: Counter[str] = Counter()
    for path in logs:
        found.update(re.findall(r"finding out whether (\w+) was carried out", path.read_text(errors="replace")))
    return found


def judge_fetches(verdict: Verdict, visits: Counter[str], sources: int, killed_owners: int) -> None:
    """Checks `visits`, the number of fetches by path."""
    again = sum(count - 1 for count in visits.values())
    verdict.check(len(visits) == sources, f"{len(visits)} of {sources} sources fetched")
    verdict.check(
        again <= killed_owners, f"{again} fetches more than one a source, for {killed_owners} kills of fetching workers"
    )


def judge_notes(
    verdict: Verdict, telegram: Telegram, people: list[Person], notes: Counter[int], missed: Counter[str] | None = None
) -> None:
    """Checks that the numbers that the bot said to each person arrived in order, over all processes that send.

    A number may have arrived again behind a later one, or not at all, only if the answer to its call was lost.
    """
    lost = lost_answers(telegram, "sendMessage") + (missed or Counter())["sendMessage"]
    disordered, missing, late = [], 0, 0
    for person in people:
        said = [record["message"].get("text", "") for record in telegram.chat(person)]
        arrived = [int(text.removeprefix("note ")) for text in said if text.startswith("note ")]
        numbers = list(dict.fromkeys(arrived))
        late += sum(number in arrived[:place] and number < max(arrived[:place]) for place, number in enumerate(arrived))
        missing += notes[person.id] - len(numbers)
        if numbers != sorted(numbers):
            disordered.append((person.id, numbers))
    verdict.check(not disordered, f"{notes.total()} numbers said, each person's in order {disordered[:3] or ''}")
    verdict.check(late <= lost, f"{late} of them again behind later ones: it was not told how {lost} of its calls ended")
    verdict.check(missing <= lost, f"{missing} of them missing: it was not told how {lost} of its calls ended")
