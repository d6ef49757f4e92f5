"""Measures how long events are held up while Redis is replaced: a stream of events through one queue."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Protocol

from redis_servers import Redis

PERIOD_SECONDS = 0.05
END_SECONDS = 60
# A filter that forwards each event unchanged.
PASS = ["-m", "no.such.type", "-n", "1"]


class Site(Protocol):
    """What the probe needs to know of a run."""

    folder: Path
    redis: Redis


def numbered_event(number: int, text: str = "") -> bytes:
    """Returns the line of an event that holds a number."""
    envelope = {
        "id": f"01930b7a-4f00-7abc-8def-{number:012x}", "type": "events.probe", "version": 1,
        "correlation_id": f"01930b7a-4f00-7abc-9def-{number:012x}", "timestamp": "2026-11-21T12:00:00.000000Z",
        "payload": {"number": number, "text": text},
    }  # fmt: skip
    return json.dumps(envelope, separators=(",", ":")).encode() + b"\n"


def number_of(line: bytes) -> int:
    """Returns the number of such a line."""
    start = line.index(b'"number":') + 9
    return int(line[start : line.index(b",", start)])


class Probe:
    """Sends an event every 50 ms through a queue, from a process to another one, and notes when each comes out."""

    def __init__(self, tools: Path, site: Site) -> None:
        state = site.folder / "state-probe"
        environment = os.environ | {"TGPIPE_REDIS": site.redis.address, "TGPIPE_STATE": str(state), "TGPIPE_LOG": "info:json"}
        log = (site.folder / "probe.log").open("ab")
        filter_ = [str(tools / "ratelimit"), *PASS]
        self._reader = subprocess.Popen(
            [*filter_, "--from", "queue:probe", "--lease", "5s"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment
        )
        self._writer = subprocess.Popen([*filter_, "--to", "queue:probe"], stdin=subprocess.PIPE, stderr=log, env=environment)
        self._sent: list[float] = []
        self._came: dict[int, list[float]] = {}
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)]

    def __enter__(self) -> Probe:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        try:
            self._writer.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._writer.kill()
            self._writer.wait()
        end = time.monotonic() + END_SECONDS
        while len(self._came) < len(self._sent) and time.monotonic() < end:
            time.sleep(0.1)
        self._reader.terminate()
        self._reader.wait(END_SECONDS)
        self._threads[1].join(END_SECONDS)

    def costs(self, elections: list[tuple[float, float]]) -> list[tuple[str, float]]:
        """Returns for each election its name, and how many seconds after it the last event that it held up came out."""
        found = []
        for killed, elected in elections:
            held = [self._came[number][0] - elected for number, sent in enumerate(self._sent) if killed - 1 <= sent <= elected and number in self._came]
            # Those that were sent later may be held up, too.
            later = [self._came[number][0] - sent for number, sent in enumerate(self._sent) if elected < sent <= elected + 5 and number in self._came]
            found.append((f"a fail-over took {elected - killed:.2f} s", max([0.0, *held, *later])))
        return found

    def tally(self) -> tuple[int, int, int]:
        """Returns how many events were lost, how many came more than once, and how many were sent."""
        doubles = sum(len(times) - 1 for times in self._came.values())
        return len(self._sent) - len(self._came), doubles, len(self._sent)

    def _send(self) -> None:
        assert self._writer.stdin is not None
        with self._writer.stdin as pipe:
            while not self._ending.wait(PERIOD_SECONDS):
                self._sent.append(time.monotonic())
                try:
                    pipe.write(numbered_event(len(self._sent) - 1))
                    pipe.flush()
                except BrokenPipeError:
                    return

    def _receive(self) -> None:
        assert self._reader.stdout is not None
        for line in self._reader.stdout:
            self._came.setdefault(number_of(line), []).append(time.monotonic())
