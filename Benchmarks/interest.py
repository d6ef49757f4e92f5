"""Measures 200 requests for one source: the number of fetches and uploads, and the time until all are answered.

A second run kills the worker that fetches, and measures how long the requests take then.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from bench import ROOT, TOOLS, row, scratch
from results import at_most

sys.path.insert(0, str(ROOT / "Tests" / "Chaos"))

from chat import Person, Telegram, wait_until  # noqa: E402
from redis_servers import Redis  # noqa: E402
from servers import S3, spawn_server  # noqa: E402
from stages import Stage, pipeline  # noqa: E402

TOKEN = "123456:BENCH-token"
ADMIN = Person(42, "Alice", "alice")
REQUESTS = 200
LEASE_SECONDS = 5
# The site's speed, and the resulting time of a fetch.
BYTES_PER_SECOND, FETCH_SECONDS = 400_000, 3
PATIENCE_SECONDS = 120


def main() -> None:
    with scratch() as folder:
        www = folder / "www"
        www.mkdir()
        make_clip(www / "clip.mp4")
        with (
            Redis(folder) as redis, S3(folder) as s3, spawn_server("emulator.py", "--token", TOKEN) as telegram_url,
            spawn_server("site.py", "--root", str(www)) as site_url,
        ):  # fmt: skip
            environment = os.environ | {
                "TGPIPE_REDIS": redis.address, "TGPIPE_LOG": "warning", "TG_BOT_TOKEN": TOKEN, "TG_ADMIN_ID": str(ADMIN.id),
                "TG_BOT_API_URL": telegram_url, "TGPIPE_STORE": "s3://bench", "TGPIPE_S3_ENDPOINT": s3.url,
                "AWS_ACCESS_KEY_ID": S3.access_key, "AWS_SECRET_ACCESS_KEY": S3.secret_key, "AWS_REGION": S3.region,
            }  # fmt: skip
            logs = folder / "logs"
            logs.mkdir()
            stages = pipeline(TOOLS, environment, logs, workers=2)
            for stage in stages:
                stage.start()
            try:
                measure_both(folder, Telegram(telegram_url), site_url, stages)
            finally:
                for stage in stages:
                    stage.end()


def measure_both(folder: Path, telegram: Telegram, site_url: str, stages: list[Stage]) -> None:
    source = f"{site_url}/slow/{BYTES_PER_SECOND}/clip.mp4"
    seconds = ask_and_wait(telegram, source + "?once", lambda: None)
    fetches, uploads = visits(site_url, "?once"), uploaded(telegram)
    row(f"{REQUESTS} requests for one source, until all are answered", seconds, "s", peer=("the fetch alone", FETCH_SECONDS))
    row("  fetches", fetches, "", at_most(1))
    row("  uploads", uploads, "", at_most(1))
    killed = [0.0]

    def kill_the_owner() -> None:
        parts: list[Path] = []

        def has_begun() -> bool:
            parts[:] = folder.glob("state-*/media/fetch/*/data.part")
            return bool(parts)

        if not wait_until(has_begun, 30):
            return
        time.sleep(FETCH_SECONDS / 2)
        number = parts[0].parents[3].name.removeprefix("state-")
        next(stage for stage in stages if stage.name == f"media-fetch.{number}").kill()
        killed[0] = time.monotonic()

    ask_and_wait(telegram, source + "?killed", kill_the_owner)
    if killed[0] == 0:
        sys.exit("error: no worker began a fetch")
    after = time.monotonic() - killed[0] - FETCH_SECONDS
    row(
        f"  after a kill of the worker that fetches, lease {LEASE_SECONDS} s, without a fetch", max(0.0, after), "s",
        at_most(LEASE_SECONDS + 5),
    )  # fmt: skip


def ask_and_wait(telegram: Telegram, url: str, meanwhile: Callable[[], None]) -> float:
    """Sends the requests and returns the seconds until each has its video."""
    before = len(sent(telegram))
    started = time.monotonic()
    telegram.say(ADMIN, f".vdl {url}")
    disturbing = threading.Thread(target=meanwhile)
    disturbing.start()
    for _ in range(REQUESTS - 1):
        telegram.say(ADMIN, f".vdl {url}")
    disturbing.join()
    if not wait_until(lambda: len(sent(telegram)) >= before + REQUESTS, PATIENCE_SECONDS):
        sys.exit(f"error: {len(sent(telegram)) - before} of {REQUESTS} answered within {PATIENCE_SECONDS} s")
    return time.monotonic() - started


def sent(telegram: Telegram) -> list[object]:
    return [call for call in telegram.calls("sendVideo") if call["status"] == 200]


def uploaded(telegram: Telegram) -> int:
    return sum(not isinstance(call["params"].get("video"), str) for call in telegram.calls("sendVideo") if call["status"] == 200)


def visits(site_url: str, ending: str) -> int:
    with urllib.request.urlopen(f"{site_url}/control/log", timeout=20) as answer:
        return sum(request["path"].endswith(ending) for request in json.load(answer)["requests"] if request["method"] == "GET")


def make_clip(path: Path) -> None:
    subprocess.run(
        ["ffmpeg", "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10:duration=1",
         "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path)], check=True,
    )  # fmt: skip
    rest = random.Random(1).randbytes(BYTES_PER_SECOND * FETCH_SECONDS - path.stat().st_size - 8)
    path.write_bytes(path.read_bytes() + (len(rest) + 8).to_bytes(4, "big") + b"free" + rest)


if __name__ == "__main__":
    main()
