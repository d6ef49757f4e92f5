"""Cancels requests at random moments, in every way, and checks that nothing of them is left (see README.md)."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "demo"))

from bot import ENDS, Bot  # noqa: E402
from chat import Person, wait_until  # noqa: E402
from verdict import PROGRESS, Verdict, files_below, shown_text  # noqa: E402

REST_SECONDS = 120
SWEEP_SECONDS = 100


class Cancels:
    def __init__(self, options: argparse.Namespace, bot: Bot) -> None:
        self.options, self.bot = options, bot
        self.random = random.Random(options.seed)
        self.people = [Person(1000 + number, f"User {number}", f"user{number}") for number in range(options.users)]
        self.verdict = Verdict()
        self.ways: dict[str, int] = {}
        self.questions: dict[int, set[int]] = {person.id: set() for person in self.people}
        self._lock = threading.Lock()

    def run(self) -> Verdict:
        self.bot.bless(self.people)
        took = self._time_to_program()
        print(f"a running ffmpeg of another worker has ended {took:.2f} s after the press of the button", flush=True)
        self.verdict.check(took < self.options.within, f"a press reaches a running ffmpeg within {self.options.within:g} s")
        shares = [self.options.cancels // len(self.people)] * len(self.people)
        shares[0] += self.options.cancels % len(self.people)
        seeds = [self.random.random() for _ in self.people]
        threads = [threading.Thread(target=self._play, args=one) for one in zip(self.people, shares, seeds, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(f"{sum(self.ways.values())} cancels: {dict(sorted(self.ways.items()))}", flush=True)
        self._judge()
        return self.verdict

    def _time_to_program(self) -> float:
        """Returns the seconds from the press of the button to the end of the program that converts."""
        person = self.people[0]
        question = self.bot.telegram.say(person, f".vdl {self.bot.site}/old.avi?measured")
        if not wait_until(lambda: any("ffmpeg" in line and "-i" in line for line in self.bot.programs()), REST_SECONDS):
            sys.exit("error: nothing is converted")
        reply = self._reply(person, question["message_id"])
        start = time.monotonic()
        self._press(person, reply, must_succeed=True)
        wait_until(lambda: not self.bot.programs(), REST_SECONDS)
        return time.monotonic() - start

    def _play(self, person: Person, count: int, seed: float) -> None:
        chance = random.Random(seed)
        for number in range(count):
            link = chance.choice([
                f"{self.bot.link(20)}?{person.id}-{number}", f"{self.bot.site}/old.avi?{person.id}-{number}",
                f"{self.bot.site}/page/clip.mp4?{person.id}-{number}", f"{self.bot.link(20)}?shared-{number}",
            ])  # fmt: skip
            word = chance.choice([".vdl", ".vdl", ".adl"])
            question = self.bot.telegram.say(person, f"{word} {link}")
            self.questions[person.id].add(question["message_id"])
            time.sleep(chance.choice([0, chance.uniform(0, 0.3), chance.uniform(0, 4)]))
            self._cancel(person, question["message_id"], chance)

    def _cancel(self, person: Person, question: int, chance: random.Random) -> None:
        reply = self._reply(person, question)
        way = chance.choice(["button", "answer to the progress", "answer to the request"]) if reply else "answer to the request"
        with self._lock:
            self.ways[way] = self.ways.get(way, 0) + 1
        if way == "button" and reply and reply["message"].get("reply_markup"):
            self._press(person, reply)
        else:
            answered = reply["message"]["message_id"] if reply and way == "answer to the progress" else question
            self.bot.control("message", {"chat_id": person.id, "from": person.user, "text": ".stop", "reply_to": answered})

    def _press(self, person: Person, reply: dict[str, Any] | None, must_succeed: bool = False) -> None:
        if reply is None:
            sys.exit("error: no progress is shown")
        order = {"chat_id": person.id, "message_id": reply["message"]["message_id"], "text": "Cancel", "from": person.user}
        try:
            self.bot.control("press", order)
        except OSError:
            # The button goes with the end of the request.
            if must_succeed:
                raise

    def _reply(self, person: Person, question: int) -> dict[str, Any] | None:
        """Returns the bot's standing reply to a request."""
        for record in self.bot.telegram.chat(person):
            if not record["deleted"] and record["message"].get("reply_to_message", {}).get("message_id") == question:
                return record
        return None

    def _shown(self) -> list[str]:
        """Returns the texts of the bot's messages that still show progress."""
        texts = []
        for person in self.people:
            for record in self.bot.telegram.chat(person):
                if record["deleted"] or not self.bot.telegram.is_answer(record["message"]):
                    continue
                text = shown_text(record)
                if text.startswith(PROGRESS):
                    texts.append(text)
        return texts

    def _open(self) -> list[str]:
        """Returns the requests that have neither an end nor media, and those with more than one of them."""
        wrong = []
        for person in self.people:
            ends: dict[int, int] = dict.fromkeys(self.questions[person.id], 0)
            for record in self.bot.telegram.chat(person):
                message = record["message"]
                question = message.get("reply_to_message", {}).get("message_id")
                if record["deleted"] or question not in ends:
                    continue
                text = shown_text(record)
                ends[question] += text.startswith(ENDS) or "video" in message or "audio" in message
            wrong += [f"{person.id}/{question}: {count} ends" for question, count in ends.items() if count != 1]
        return wrong

    def _judge(self) -> None:
        verdict, bot = self.verdict, self.bot
        wait_until(lambda: not self._open(), REST_SECONDS)
        unended = self._open()
        verdict.check(not unended, f"each request has one end in the chat {unended[:3] or ''}")
        wait_until(lambda: not self._shown(), REST_SECONDS)
        shown = self._shown()
        verdict.check(not shown, f"no message shows progress any more {shown[:3] or ''}")
        wait_until(lambda: not bot.programs(), 10)
        programs = bot.programs()
        verdict.check(not programs, f"no program runs any more {programs[:2] or ''}")
        wait_until(lambda: not bot.redis.locks(), REST_SECONDS)
        locks = bot.redis.locks()
        verdict.check(not locks, f"no lock is held {locks[:3] or ''}")
        turns = bot.redis.turns()
        verdict.check(not turns, f"no turn is taken {turns or ''}")
        wait_until(lambda: not self._left_over(), SWEEP_SECONDS)
        left = self._left_over()
        verdict.check(not left, f"no file of a fetch is left {left[:3] or ''}")

    def _left_over(self) -> list[str]:
        folder = self.bot.state("media") / "media" / "fetch"
        return [str(path.relative_to(folder)) for path in files_below(folder)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", type=Path, default=Path(os.environ.get("TGPIPE_BIN", ROOT / ".build" / "release")))
    parser.add_argument("--cancels", type=int, default=200)
    parser.add_argument("--users", type=int, default=6)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    # A busy machine may take longer than the second in which an idle one is done.
    parser.add_argument("--within", type=float, default=REST_SECONDS, help="the longest time, in seconds, that ending ffmpeg may take")
    options = parser.parse_args()
    options.tools = options.tools.resolve()
    print(f"cancels: seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="tgpipe-cancel-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        with Bot(options.tools, Path(folder)) as bot:
            verdict = Cancels(options, bot).run()
        verdict.check(bot.statuses == [0, 0], f"asked to, the bot ends by itself {bot.statuses}")
    verdict.show()
    return 0 if verdict.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
