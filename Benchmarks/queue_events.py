"""Holds what the benchmarks of queues share."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from bench import tool

# A filter that forwards every event unchanged, so that only the queue is measured.
PASS = ["-m", "no.such.type", "-n", "1"]


def wait(queue: str, environment: dict[str, str]) -> None:
    """Waits until a queue is empty."""
    subprocess.run([tool("ev-queue"), "wait", queue], env=environment, check=True)


def write_events(path: Path, count: int) -> None:
    """Writes events of about 700 bytes, of 1,000 users in turn."""
    with path.open("w") as file:
        for number in range(count):
            envelope = {
                "id": f"01930b7a-4f00-7abc-8def-{number:012x}", "type": "commands.media.video_download", "version": 1,
                "correlation_id": f"01930b7a-4f00-7abc-9def-{number:012x}", "timestamp": "2026-11-21T12:00:00.000000Z",
                "payload": {"url": f"https://example.com/watch/{number}", "title": "x" * 280},
                "meta": {"actor": {"id": number % 1000, "name": "User"}, "role": "blessed",
                         "origin": {"chat_id": number % 1000, "message_id": 7, "chat_type": "private"}},
            }  # fmt: skip
            file.write(json.dumps(envelope) + "\n")
