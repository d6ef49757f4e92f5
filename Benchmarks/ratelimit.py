"""Measures ratelimit in decisions per second. The peer is Redis itself, when it only counts."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from pathlib import Path

from bench import QUICK, measure, redis, row, scratch, sized, tool
from results import at_least

EVENTS = sized(300_000, 200_000)
USERS = 1000
RUNS = sized(3, 1)
ALGORITHMS = {"fixed": 400_000, "sliding": 200_000, "token-bucket": 200_000}


def main() -> None:
    with scratch() as folder, redis(folder) as socket:
        events = folder / "events.ndjson"
        write_events(events)
        environment = os.environ | {"TGPIPE_REDIS": f"unix:{socket}", "TGPIPE_STATE": str(folder), "TGPIPE_LOG": "error"}
        counting = max(redis_benchmark(socket) for _ in range(RUNS))
        for algorithm, wanted in ALGORITHMS.items():
            if QUICK and algorithm != "fixed":
                continue
            command = [
                tool("ratelimit"), "-m", "commands.media.#", "-n", "10", "-w", "60s", "--key", "user",
                "--algorithm", algorithm, "--on-limit", "mark",
            ]  # fmt: skip
            seconds = min(measure(command, events, env=environment).seconds for _ in range(RUNS))
            row(
                f"ratelimit, {algorithm}, {EVENTS:,} events of {USERS:,} users", EVENTS / seconds, "decisions/s", at_least(wanted),
                peer=("redis-benchmark INCR", counting), headline=algorithm == "fixed",
            )  # fmt: skip


def write_events(path: Path) -> None:
    with path.open("w") as file:
        for number in range(EVENTS):
            user = number * 7919 % USERS + 1
            envelope = {
                "id": f"01930b7a-4f00-7abc-8def-{number:012x}", "type": "commands.media.video_download", "version": 1,
                "correlation_id": f"01930b7a-4f00-7abc-9def-{number:012x}", "timestamp": "2026-11-21T12:00:00.000000Z",
                "payload": {"url": f"https://example.com/watch/{number}"},
                "meta": {"actor": {"id": user, "name": f"User {user}"}, "role": "blessed",
                         "origin": {"chat_id": user, "message_id": 7, "chat_type": "private"}},
            }  # fmt: skip
            file.write(json.dumps(envelope) + "\n")


def redis_benchmark(socket: Path) -> float:
    """Returns how many increments Redis makes per second, over one connection and in batches of 100."""
    command = [
        "redis-benchmark", "-s", str(socket), "-c", "1", "-P", "100", "-n", "500000", "-r", str(USERS), "-t", "incr", "--csv",
    ]  # fmt: skip
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (line,) = csv.DictReader(io.StringIO(table))
    return float(line["rps"])


if __name__ == "__main__":
    main()
