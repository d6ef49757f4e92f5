"""Checks the result of a run, when all queues are empty."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from chat import Person, Telegram

Json = dict[str, Any]


@dataclass
class Verdict:
    lines: list[tuple[bool, str]] = field(default_factory=list)

    def check(self, good: bool, what: str) -> None:
        self.lines.append((good, what))

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
    def of(cls, telegram: Telegram, people: list[Person], questions: dict[int, set[int]]) -> Answers:
        """Takes `questions`, the message ids of the requests by the user's id."""
        found = cls()
        for person in people:
            videos: Counter[int] = Counter()
            failures: Counter[int] = Counter()
            for record in telegram.chat(person):
                message = record["message"]
                asked = message.get("reply_to_message", {}).get("message_id")
                if record["deleted"] or asked not in questions[person.id]:
                    continue
                if "video" in message:
                    videos[asked] += 1
                elif message.get("text", "").startswith("❌"):
                    failures[asked] += 1
                else:
                    found.leftovers += 1
            for asked in questions[person.id]:
                answers = videos[asked] + failures[asked]
                if answers == 0:
                    found.unanswered.append({"person": person.id, "message": asked})
                found.doubles += max(0, answers - 1)
                found.errors += failures[asked]
        return found

    def judge(self, verdict: Verdict, asked: int, telegram: Telegram) -> None:
        lost_videos, lost_texts = lost_answers(telegram, "sendVideo"), lost_answers(telegram, "sendMessage")
        verdict.check(not self.unanswered, f"{asked} requests, {len(self.unanswered)} not answered")
        verdict.check(self.errors == 0, f"{self.errors} of them answered with an error")
        verdict.check(
            self.doubles <= lost_videos,
            f"{self.doubles} videos twice: tg-send was not told how {lost_videos} of its calls ended",
        )
        verdict.check(
            self.leftovers <= lost_texts,
            f"{self.leftovers} progress messages left behind: it was not told how {lost_texts} of its calls ended",
        )


def lost_answers(telegram: Telegram, method: str) -> int:
    """Returns the number of calls that may have been performed although their answer was lost."""
    return sum(call["status"] is None for call in telegram.calls(method))


def judge_fetches(verdict: Verdict, visits: Counter[str], sources: int, killed_owners: int) -> None:
    """Checks `visits`, the number of fetches by path."""
    again = sum(count - 1 for count in visits.values())
    verdict.check(len(visits) == sources, f"{len(visits)} of {sources} sources fetched")
    verdict.check(
        again <= killed_owners, f"{again} fetches more than one a source, for {killed_owners} kills of fetching workers"
    )


def judge_notes(verdict: Verdict, telegram: Telegram, people: list[Person], notes: Counter[int]) -> None:
    """Checks that the numbers that the bot said to each person arrived in order, over all processes that send.

    A number may have arrived twice, or not at all, only if the answer to its call was lost.
    """
    lost = lost_answers(telegram, "sendMessage")
    disordered, missing = [], 0
    for person in people:
        said = [record["message"].get("text", "") for record in telegram.chat(person)]
        numbers = list(dict.fromkeys(int(text.removeprefix("note ")) for text in said if text.startswith("note ")))
        missing += notes[person.id] - len(numbers)
        if numbers != sorted(numbers):
            disordered.append((person.id, numbers))
    verdict.check(not disordered, f"{notes.total()} numbers said, each person's in order {disordered[:3] or ''}")
    verdict.check(missing <= lost, f"{missing} of them missing: it was not told how {lost} of its calls ended")
