"""Measures the memory of the whole idle media bot, its private Redis included.

The shells of media-bot.sh are included. The proportional set size counts a page that several processes share once, divided among them. The
emulator of Telegram is not part of the bot, and is not counted.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from bench import MEGABYTE, ROOT, TOOLS, row, tool
from chat import Person, wait_until
from results import at_most
from services import Services

STAGES = ["tg-listen", "tg-gate", "ratelimit", "ev-route", "media-fetch", "blob-put", "tg-send"]
START_SECONDS = 30
IDLE_SECONDS = 5


def proportional_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def pids(run: Path) -> dict[str, int]:
    found = {}
    for name in STAGES:
        text = (run / f"{name}.pid").read_text().strip() if (run / f"{name}.pid").exists() else ""
        if text:
            found[name] = int(text)
    return found


def processes(leader: int) -> list[tuple[int, str]]:
    """Returns the processes in the session of media-bot.sh, with their names."""
    listing = subprocess.run(["ps", "-s", str(leader), "-o", "pid=,comm="], capture_output=True, text=True, check=True).stdout
    return [(int(pid), name) for pid, name in (line.split(maxsplit=1) for line in listing.splitlines())]


def private_redis(state: Path) -> int:
    """Returns the process id of the Redis server that works in the state folder."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "comm").read_text().strip() == "redis-server" and str(state) in os.readlink(path / "cwd"):
                return int(path.name)
        except OSError:
            continue
    return 0


def main() -> None:
    tool("tg-listen")
    with Services(TOOLS, admin_id=Person(42, "Alice", "alice").id) as services:
        services.start()
        environment = os.environ | services.environment() | {"TGPIPE_LOG": "error"}
        # Without an address of a Redis, the tools start their private one.
        del environment["TGPIPE_REDIS"]
        with services.log.open("wb") as log:
            bot = subprocess.Popen(
                [str(ROOT / "examples" / "media-bot.sh")], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                env=environment, start_new_session=True,
            )  # fmt: skip
        server = 0
        try:
            run = services.state / "run"
            if not wait_until(lambda: len(pids(run)) == len(STAGES), START_SECONDS):
                sys.exit(f"error: the bot did not start:\n{services.log.read_text()}")
            wait_until(lambda: private_redis(services.state) > 0, START_SECONDS)
            time.sleep(IDLE_SECONDS)
            server = private_redis(services.state)
            if bot.poll() is not None or not server:
                sys.exit(f"error: not every process of the bot runs:\n{services.log.read_text()}")
            sizes = {"redis-server": proportional_bytes(server)}
            for pid, name in processes(bot.pid):
                if pid != server:
                    sizes[name] = sizes.get(name, 0) + proportional_bytes(pid)
            row("the whole idle media bot, its private Redis included", sum(sizes.values()) / MEGABYTE, "MB", at_most(50))
            for name, size in sizes.items():
                row(f"  {name}", size / MEGABYTE, "MB")
        finally:
            bot.send_signal(signal.SIGINT)
            try:
                bot.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(bot.pid, signal.SIGKILL)
                bot.wait()
            if server:
                os.kill(server, signal.SIGTERM)


if __name__ == "__main__":
    main()
