"""Measures tg-session and tg-call: memory of an idle owner, calls through the owner, and the time of one from a shell.

The emulator answers the calls with an answer that it has prepared, so that it is not what is measured.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

from accounts import emulated
from bench import memory, row, running, scratch, tool
from results import at_least, at_most
from start import starting

IDLE_SECONDS = 2
CALLS = 50_000
# Concurrent calls: half as many as an owner accepts of one client.
AT_ONCE = 128


def main() -> None:
    with scratch() as folder, emulated() as emulator:
        environment = emulator.logged_in(folder / "state")
        with running([tool("tg-session"), "run", "alice"], stdout=subprocess.DEVNULL, env=environment) as owner:
            path = folder / "state" / "sessions" / "alice.sock"
            while not path.exists():
                time.sleep(0.01)
            time.sleep(IDLE_SECONDS)
            row("tg-session run, memory when idle", memory(owner.pid, "VmRSS"), "MB", at_most(30))
            emulator.control("/habits", {"repeat_answers": True})
            row(f"calls through tg-session run, {CALLS:,} calls", CALLS / calling(path), "calls/s", at_least(25_000))
            row("  memory after the calls", memory(owner.pid, "VmRSS"), "MB", at_most(30))
            emulator.control("/habits", {"repeat_answers": False})
            one = starting([tool("tg-call"), "help.getNearestDc"], environment)
            row("tg-call through the owner, from its start to the answer", one, "ms", at_most(12))


def calling(path: Path) -> float:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        lines = connection.makefile("rb")
        begun = time.perf_counter()
        for number in range(CALLS):
            if number >= AT_ONCE:
                check(lines.readline())
            request = {"id": number, "method": "help.getNearestDc", "params": {}}
            connection.sendall(json.dumps(request).encode() + b"\n")
        for _ in range(AT_ONCE):
            check(lines.readline())
        return time.perf_counter() - begun


def check(line: bytes) -> None:
    if b'"result"' not in line:
        sys.exit(f"error: a call failed: {line.decode()}")


if __name__ == "__main__":
    main()
