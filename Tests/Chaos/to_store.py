"""Fetches a file of 2 GB from a slow server into a real S3 server with `media-fetch --to-store`, and measures memory and disk.

The first worker is killed when it has half of the file. A second one, with a work folder of its own, takes the request over. At the
end, the bucket must have the object, and neither a part nor another object.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servers import S3

# Behind the others, because a benchmark there has the name of a module of Python.
sys.path.append(str(Path(__file__).resolve().parents[2] / "Benchmarks"))

from bench import MEGABYTE, ROOT, memory, padded_clip, read_line, redis, row, running, scratch, tool  # noqa: E402
from results import at_least, at_most  # noqa: E402

SIZE = int(os.environ.get("TGPIPE_BENCH_BYTES", 2_000_000_000))
RATE = SIZE // 60
BUCKET = "bench"


class Worker:
    """Runs media-fetch from a queue, and notes the most memory and the most bytes in its work folder."""

    def __init__(self, folder: Path, name: str, environment: dict[str, str]) -> None:
        self._state = folder / name
        self._command = [
            tool("media-fetch"), "--allow-private", "--to-store", "--store", f"s3://{BUCKET}", "--create-bucket", "--from",
            "queue:in", "--to", "queue:out", "--lease", "5s",
        ]  # fmt: skip
        self._environment = environment | {"TGPIPE_STATE": str(self._state)}
        self.peak_megabytes = 0.0
        self.disk_bytes = 0

    def __enter__(self) -> Worker:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, env=self._environment)
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end(kill=False)

    def end(self, kill: bool) -> None:
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait()
        self._ended.set()
        self._watcher.join()

    @property
    def megabytes(self) -> float:
        return memory(self._process.pid, "VmRSS")

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            self.peak_megabytes = max(self.peak_megabytes, memory(self._process.pid, "VmHWM"))
            self.disk_bytes = max(self.disk_bytes, used(self._state / "media"))


def used(folder: Path) -> int:
    """Returns the bytes of all files below a folder, some of which may vanish meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total


@contextmanager
def servers(folder: Path) -> Iterator[tuple[str, S3, dict[str, str]]]:
    www = folder / "www"
    www.mkdir()
    padded_clip(www / "clip.mp4", SIZE)
    site = [sys.executable, "-B", str(ROOT / "Tests/Emulator/site.py"), "--root", str(www)]
    with redis(folder) as socket, S3(folder) as s3, running(site, stdout=subprocess.PIPE) as server:
        environment = os.environ | {
            "AWS_ACCESS_KEY_ID": S3.access_key, "AWS_SECRET_ACCESS_KEY": S3.secret_key, "AWS_REGION": S3.region,
            "TGPIPE_S3_ENDPOINT": s3.url, "TGPIPE_LOG": "warning", "TGPIPE_REDIS": f"unix:{socket}",
        }  # fmt: skip
        yield f"{read_line(server)}/slow/{RATE}/clip.mp4", s3, environment


def main() -> None:
    with scratch() as folder, servers(folder) as (url, s3, environment):
        command = {
            "type": "commands.media.video_download", "correlation_id": "01930b7a-4f00-7abc-8def-0123456789ab",
            "payload": {"url": url},
        }  # fmt: skip

        def start(name: str) -> Worker:
            return Worker(folder, name, environment)

        with start("idle") as worker:
            time.sleep(3)
            idle = worker.megabytes
        pushed = json.dumps(command).encode() + b"\n"
        subprocess.run([tool("ev-queue"), "push", "in"], input=pushed, env=environment, check=True, stdout=subprocess.DEVNULL)
        with start("first") as first:
            wait(lambda: stored_bytes(s3) >= SIZE / 2, "half of the file")
            first.end(kill=True)
        left = len(uploads(s3))
        started = time.perf_counter()
        with start("second") as second:
            wait(lambda: ready(environment) is not None, "the result")
            seconds = time.perf_counter() - started
        result = ready(environment) or {}
        if result.get("type") != "events.dl.video.ready" or result["payload"]["size_bytes"] != SIZE:
            sys.exit(f"error: media-fetch did not store the file: {result}")
        left_at_end = s3.count(BUCKET) - 1 + len(s3.bad_objects(BUCKET))
        site, peak = SIZE / RATE, max(first.peak_megabytes, second.peak_megabytes)
        growth = peak - idle
        disk = max(first.disk_bytes, second.disk_bytes)
        row("time of the second worker", seconds, "s", peer=("the site alone", site))
        row("most memory", peak, "MB", peer=("an idle one", idle))
        row("memory that the file takes", growth, "MB", at_most(16))
        row(f"most bytes on the disk, for a file of {SIZE / MEGABYTE:,.0f} MB", disk, "bytes", at_most(10_000))
        row("uploads left when the first one was killed", left, "", at_least(1), at_most(1))
        row("objects and uploads left at the end, beside the one", left_at_end, "", at_most(0))
        if left_at_end != 0 or left != 1 or disk > 10_000 or growth > 16:
            sys.exit("error: not as it should be: see above")


def wait(is_so: Any, what: str) -> None:
    end = time.monotonic() + 600
    while not is_so():
        if time.monotonic() > end:
            sys.exit(f"error: {what} did not come")
        time.sleep(0.5)


def uploads(s3: S3) -> list[dict[str, Any]]:
    client = s3.client()
    if BUCKET not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
        return []
    found: list[dict[str, Any]] = client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    return found


def stored_bytes(s3: S3) -> int:
    """Returns the bytes of all parts of unfinished uploads."""
    total = 0
    for upload in uploads(s3):
        parts = s3.client().get_paginator("list_parts")
        for page in parts.paginate(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"]):
            total += sum(part["Size"] for part in page.get("Parts", []))
    return total


def ready(environment: dict[str, str]) -> dict[str, Any] | None:
    """Returns the last event of the queue, if it is a result."""
    socket = environment["TGPIPE_REDIS"].removeprefix("unix:")
    command = ["redis-cli", "-s", socket, "XREVRANGE", "tgpipe:{queues}:out:stream", "+", "-", "COUNT", "1"]
    lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    events: list[dict[str, Any]] = [json.loads(line) for line in lines if line.startswith("{")]
    return events[0] if events and events[0]["type"].startswith("events.dl.") else None


if __name__ == "__main__":
    main()
