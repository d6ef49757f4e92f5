"""Measures the memory of the whole idle media bot, its private Redis included.

The shells of media-bot.sh are included. The proportional set size counts a page that several processes share once, divided among them. The emulator of Telegram
is not part of the bot, and is not counted.
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
from services import Services

STAGES = ["tg-listen", "tg-gate", "ratelimit", "ev-route", "media-fetch", "blob-put", "tg-send"]
START_SECONDS = 30
IDLE_SECONDS = 5
TARGET_MEGABYTES = 60


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


def shells(leader: int, stages: set[int]) -> list[int]:
    """Returns the processes in the session of media-bot.sh that are not stages."""
    listing = subprocess.run(["ps", "-s", str(leader), "-o", "pid="], capture_output=True, text=True, check=True).stdout
    return [pid for pid in map(int, listing.split()) if pid not in stages]


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
            found = pids(run) | ({"redis-server": server} if server else {})
            if bot.poll() is not None or len(found) != len(STAGES) + 1:
                sys.exit(f"error: not every process of the bot runs, only {', '.join(found)}:\n{services.log.read_text()}")
            total = 0
            for name, pid in found.items():
                size = proportional_bytes(pid)
                total += size
                row(f"{name}, proportional set size when idle", f"{size / MEGABYTE:.1f} MB")
            size = sum(proportional_bytes(pid) for pid in shells(bot.pid, set(found.values())))
            total += size
            row("the shells of media-bot.sh, proportional set size", f"{size / MEGABYTE:.1f} MB")
            row("the whole idle media bot", f"{total / MEGABYTE:.1f} MB", wanted=f"at most {TARGET_MEGABYTES} MB")
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
