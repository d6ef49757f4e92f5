"""Measures tg-session and tg-call: start-up time, memory of an idle owner, and calls through the owner."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from pathlib import Path

from account import emulated
from bench import memory, row, running, scratch, tool
from start import starting

IDLE_SECONDS = 2
CALLS = 2000
# Concurrent calls, as the stages of a pipeline make them.
AT_ONCE = 8


def main() -> None:
    for name in ("tg-session", "tg-call"):
        row(f"{name} --version", f"{starting([tool(name), '--version']):.1f} ms", wanted="under 25 ms")
    with scratch() as folder, emulated() as emulator:
        environment = emulator.logged_in(folder / "state")
        with running([tool("tg-session"), "run", "alice"], stdout=subprocess.DEVNULL, env=environment) as owner:
            path = folder / "state" / "sessions" / "alice.sock"
            while not path.exists():
                time.sleep(0.01)
            time.sleep(IDLE_SECONDS)
            row("tg-session run, memory when idle", f"{memory(owner.pid, 'VmRSS'):.1f} MB", wanted="under 30 MB")
            seconds = calling(path)
            row(f"  {CALLS:,} calls through it, including the emulator", f"{CALLS / seconds:,.0f} calls/s")
            row("  memory after the calls", f"{memory(owner.pid, 'VmRSS'):.1f} MB", wanted="under 30 MB")
            one = starting([tool("tg-call"), "help.getNearestDc"], environment)
            row("tg-call through the owner, from its start to the answer", f"{one:.1f} ms")


def calling(path: Path) -> float:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        lines = connection.makefile("rb")
        begun = time.perf_counter()
        for number in range(CALLS):
            if number >= AT_ONCE:
                assert b'"result"' in lines.readline()
            request = {"id": number, "method": "help.getNearestDc", "params": {}}
            connection.sendall(json.dumps(request).encode() + b"\n")
        for _ in range(AT_ONCE):
            assert b'"result"' in lines.readline()
        return time.perf_counter() - begun


if __name__ == "__main__":
    main()
