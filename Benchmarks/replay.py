"""Measures ev-replay: how late events come at speed 1, and how fast a recording is replayed without waiting.

The lateness is measured by the reader of the pipe. The peer of the replay without waiting is `cat`.
"""

from __future__ import annotations

import datetime
import json
import random
import statistics
import subprocess
import time
import uuid
from pathlib import Path

from bench import MEGABYTE, row, scratch, tool
from results import at_most

EVENTS = 5_000
SECONDS = 10
FAST = 300_000


def main() -> None:
    with scratch() as folder:
        paced = folder / "paced.ndjson"
        moments = random.Random(7)
        offsets = sorted(moments.uniform(0, SECONDS) for _ in range(EVENTS))
        offsets[0] = 0
        write(paced, offsets)
        late = lateness(paced, offsets)
        row(f"lateness of ev-replay --speed 1, {EVENTS:,} events in {SECONDS} s", statistics.median(late), "ms")
        row("  99th percentile", late[int(len(late) * 0.99)], "ms", at_most(5))
        fast = folder / "fast.ndjson"
        write(fast, [0.0] * FAST)
        size = fast.stat().st_size
        own = min(seconds([tool("ev-replay"), "--speed", "max", str(fast)]) for _ in range(3))
        cat = min(seconds(["cat", str(fast)]) for _ in range(3))
        row(f"ev-replay --speed max, {FAST:,} events", size / own / MEGABYTE, "MB/s", peer=("cat", size / cat / MEGABYTE))
        row("  the same", FAST / own, "events/s")


def write(path: Path, offsets: list[float]) -> None:
    """Writes events with timestamps at these seconds."""
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    with path.open("w") as file:
        for number, offset in enumerate(offsets):
            at = (start + datetime.timedelta(seconds=offset)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            event = {
                "id": str(uuid.UUID(int=number)), "type": "events.test.tick", "version": 1,
                "correlation_id": str(uuid.UUID(int=number)), "timestamp": at, "payload": {"text": "x" * 300}, "meta": {},
            }  # fmt: skip
            file.write(json.dumps(event) + "\n")


def lateness(path: Path, offsets: list[float]) -> list[float]:
    """Returns how many milliseconds after its time each event came, in order, measured against the earliest one."""
    with subprocess.Popen([tool("ev-replay"), str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as replay:
        assert replay.stdout is not None
        arrivals: list[float] = []
        for _ in replay.stdout:
            arrivals.append(time.monotonic())
    assert len(arrivals) == len(offsets)
    delays = [arrival - offset for arrival, offset in zip(arrivals, offsets, strict=True)]
    # The start of the replay is not known here: the event that came with the least delay was in time.
    least = min(delays)
    return sorted((delay - least) * 1000 for delay in delays)


def seconds(command: list[str]) -> float:
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
        assert program.stdout is not None
        while program.stdout.read(1 << 20):
            pass
    return time.monotonic() - start


if __name__ == "__main__":
    main()
