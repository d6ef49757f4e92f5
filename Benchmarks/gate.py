"""Measures how many commands of one admin `tg-gate | ratelimit | ev-route` lets through in a second.

The peer is `cat | cat | cat`, which only copies the same bytes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bench import TOOLS, row, scratch, sized, tool
from latency import ADMIN, gated, raw_event
from results import at_least
from services import Services

EVENTS = sized(1_000_000, 150_000)


def main() -> None:
    with Services(TOOLS, admin_id=ADMIN.id) as services, scratch() as folder:
        services.start()
        environment = os.environ | services.environment() | {"TGPIPE_LOG": "error"}
        events = folder / "events.ndjson"
        with events.open("wb") as file:
            file.writelines(raw_event(number) for number in range(EVENTS))
        own = through(f"{gated()} | {tool('ev-route')} -o 'commands.media.#=-'", events, folder / "commands.ndjson", environment)
        peer = through("cat | cat | cat", events, folder / "copy.ndjson", environment)
        row(
            f"tg-gate | ratelimit | ev-route, {EVENTS:,} commands of one admin", EVENTS / own, "events/s", at_least(150_000),
            peer=("cat | cat | cat", EVENTS / peer), headline=True,
        )  # fmt: skip


def through(pipeline: str, events: Path, output: Path, environment: dict[str, str]) -> float:
    """Returns the seconds that a pipeline takes, from its start to its end."""
    with events.open("rb") as source, output.open("wb") as sink:
        begun = time.perf_counter()
        subprocess.run(["sh", "-c", pipeline], stdin=source, stdout=sink, env=environment, check=True)
        seconds = time.perf_counter() - begun
    with output.open("rb") as lines:
        count = sum(1 for _ in lines)
    if count != EVENTS:
        sys.exit(f"error: {count:,} of {EVENTS:,} commands came out of {pipeline}")
    output.unlink()
    return seconds


if __name__ == "__main__":
    main()
