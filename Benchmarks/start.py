"""Measures how long each tool takes to print its version, and how much memory it uses when idle."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

from bench import TOOLS, memory, row, running, tool
from results import at_most
from services import Services

# The stages of the media bot, with what they need to wait for input.
ARGUMENTS: dict[str, list[str]] = {
    "tg-listen": [], "tg-gate": ["--admin", "42"], "ratelimit": ["--limit", "5"], "ev-route": ["--output", "#=-"],
    "ev-queue": ["work", "start", "--", "cat"], "media-fetch": [], "blob-put": [], "tg-send": [],
}  # fmt: skip
STARTS = 21
IDLE_SECONDS = 1.5


def starting(command: list[str], environment: dict[str, str] | None = None) -> float:
    """Returns the median start time in milliseconds, without the first start, which fills the caches."""
    seconds = []
    for _ in range(STARTS):
        begun = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environment)
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds[1:]) * 1000


def main() -> None:
    python = starting([sys.executable, "-c", "import asyncio, json, urllib.request"])
    for name in subprocess.run([tool("tgpipe"), "--tools"], stdout=subprocess.PIPE, check=True, text=True).stdout.split():
        own = starting([tool(name), "--version"])
        row(f"{name} --version", own, "ms", at_most(6), peer=("python with asyncio", python))
    with Services(TOOLS, admin_id=42) as services:
        services.start()
        environment = os.environ | services.environment() | {"TGPIPE_LOG": "error"}
        for name, arguments in ARGUMENTS.items():
            with running([tool(name), *arguments], stdout=subprocess.DEVNULL, env=environment) as process:
                time.sleep(IDLE_SECONDS)
                if process.poll() is not None:
                    sys.exit(f"error: {name} did not wait for input")
                row(f"{name}, memory when idle", memory(process.pid, "VmRSS"), "MB", at_most(25))


if __name__ == "__main__":
    main()
