"""Measures how long people wait for their media while one of them asks for a hundred (see README.md)."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "demo"))

from bot import Bot  # noqa: E402
from chat import Person, wait_until  # noqa: E402

MOST_RATIO = 1.5
PATIENCE_SECONDS = 600


def measure(options: argparse.Namespace, links: int) -> float:
    """Returns the mean seconds after which the people with one link each have their media."""
    greedy = Person(900, "Greta", "greta")
    others = [Person(1000 + number, f"User {number}", f"user{number}") for number in range(options.people)]
    with tempfile.TemporaryDirectory(prefix="tgpipe-fair-", dir="/tmp") as folder, Bot(options.tools, Path(folder)) as bot:
        bot.bless([greedy, *others])
        for number in range(links):
            bot.telegram.say(greedy, f".vdl {bot.link(options.seconds)}?greedy-{number}")
        # By then the workers are busy.
        time.sleep(2 * options.seconds)
        start = time.monotonic()
        for person in others:
            bot.telegram.say(person, f".vdl {bot.link(options.seconds)}?{person.id}")
        took: dict[int, float] = {}

        def all_served() -> bool:
            for person in others:
                if person.id not in took and bot.has_media(person):
                    took[person.id] = time.monotonic() - start
            return len(took) == len(others)

        if not wait_until(all_served, PATIENCE_SECONDS):
            sys.exit(f"error: {len(others) - len(took)} people got nothing within {PATIENCE_SECONDS} s")
        return statistics.mean(took.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", type=Path, default=Path(os.environ.get("TGPIPE_BIN", ROOT / ".build" / "release")))
    parser.add_argument("--links", type=int, default=100, help="of the one person")
    parser.add_argument("--people", type=int, default=9, help="with one link each")
    parser.add_argument("--seconds", type=int, default=3, help="for which each download takes")
    options = parser.parse_args()
    options.tools = options.tools.resolve()
    alone = measure(options, 0)
    beside = measure(options, options.links)
    ratio = beside / alone
    print(f"{options.people} people wait {alone:.1f} s, and {beside:.1f} s beside one with {options.links} links: {ratio:.2f} times as long")
    return 0 if ratio <= MOST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
