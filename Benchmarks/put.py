"""Compares blob-put with boto3: a file of 500 MB to a real S3 server on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench import MEGABYTE, ROOT, Measured, measure, medians, redis, row, scratch, tool, touch_memory
from results import at_least, at_most

sys.path.insert(0, str(ROOT / "Tests" / "Chaos"))

from servers import S3  # noqa: E402

SIZE = 500_000_000
RUNS = 3
BUCKET = "bench"
UPLOAD = """
import sys, boto3
boto3.client("s3", endpoint_url=sys.argv[1]).upload_file(sys.argv[2], sys.argv[3], sys.argv[4])
"""
EMPTY = """
import sys, boto3
bucket = boto3.resource("s3", endpoint_url=sys.argv[1]).Bucket(sys.argv[2])
bucket.objects.delete()
"""


def main() -> None:
    with scratch() as folder, redis(folder) as socket:
        file = folder / "file.bin"
        with file.open("wb") as output:
            for _ in range(SIZE // 1_000_000):
                output.write(secrets.token_bytes(1_000_000))
        with S3(folder) as server:
            compare(server.url, file, socket)


def compare(endpoint: str, file: Path, socket: Path) -> None:
    folder = file.parent
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": S3.access_key, "AWS_SECRET_ACCESS_KEY": S3.secret_key, "AWS_REGION": S3.region,
        "AWS_DEFAULT_REGION": S3.region, "AWS_ENDPOINT_URL": endpoint, "TGPIPE_S3_ENDPOINT": endpoint,
        "TGPIPE_LOG": "warning", "TGPIPE_STATE": str(folder / "state"), "TGPIPE_REDIS": f"unix:{socket}",
    }  # fmt: skip

    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()

    def stage() -> Measured:
        """Runs blob-put as in a pipeline: the event contains the hash, with which the server checks the upload."""
        fetched = folder / f"{secrets.token_hex(8)}.mp4"
        fetched.hardlink_to(file)
        event = folder / "event.ndjson"
        event.write_text(json.dumps(fetched_event(fetched, sha256)) + "\n")
        output = folder / "ready.ndjson"
        touch_memory(folder, SIZE)
        command = [tool("blob-put"), "--store", f"s3://{BUCKET}", "--create-bucket"]
        measured = measure(command, event, output, env=environment)
        if json.loads(output.read_text().splitlines()[-1])["type"] != "events.dl.video.ready":
            sys.exit(f"error: blob-put did not store the file: {output.read_text()}")
        shutil.rmtree(folder / "state")
        return afterwards(measured)

    def alone() -> Measured:
        """Runs blob-put with `--file`, where it must hash the file before it can send the first byte."""
        touch_memory(folder, SIZE)
        key = f"own/{secrets.token_hex(8)}"
        command = [tool("blob-put"), "--store", f"s3://{BUCKET}", "--create-bucket", "--file", str(file), "--key", key]
        return afterwards(measure(command, env=environment))

    def peer() -> Measured:
        touch_memory(folder, SIZE)
        key = f"peer/{secrets.token_hex(8)}"
        return afterwards(measure([sys.executable, "-c", UPLOAD, endpoint, str(file), BUCKET, key], env=environment))

    def afterwards(measured: Measured) -> Measured:
        subprocess.run([sys.executable, "-c", EMPTY, endpoint, BUCKET], env=environment, check=True)
        return measured

    starting = measure([sys.executable, "-c", "import boto3; boto3.client('s3')"], env=environment).seconds
    staged, single, other = medians(RUNS, stage, alone, peer)
    # The time that boto3 takes to start is subtracted.
    rates = [SIZE / MEGABYTE / seconds for seconds in (staged.seconds, single.seconds, other.seconds - starting)]
    row("blob-put, 500 MB", rates[0], "MB/s", at_least(1.5, times=True), peer=("boto3", rates[2]))
    row("  with --file, which hashes the file first", rates[1], "MB/s", peer=("boto3", rates[2]))
    row("  peak memory", max(staged.megabytes, single.megabytes), "MB", at_most(60), peer=("boto3", other.megabytes))


def fetched_event(path: Path, sha256: str) -> dict[str, Any]:
    return {
        "type": "events.media.fetched", "correlation_id": "01930b7a-4f00-7abc-8def-0123456789ab",
        "payload": {
            "kind": "video", "key": f"video/{secrets.token_hex(32)}.mp4", "path": str(path), "size_bytes": SIZE,
            "sha256": sha256, "content_type": "video/mp4", "file_name": "clip.mp4", "domain": "example.com",
            "source_url": "https://example.com/clip.mp4", "normalized_url": "https://example.com/clip.mp4",
            "fetched_at": "2026-11-21T12:00:00.000000Z",
        },
    }  # fmt: skip


if __name__ == "__main__":
    main()
