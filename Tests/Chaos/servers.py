"""Runs the servers that the pipeline uses beside Redis: the real S3 server, the emulated Telegram, a web site."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def spawn_server(script: str, *arguments: str) -> Iterator[str]:
    """Starts a server of Tests/Emulator and returns its address."""
    command = [sys.executable, "-B", str(ROOT / "Tests" / "Emulator" / script), "--exit-with-stdin", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    try:
        url = process.stdout.readline().decode().strip()
        if not url:
            sys.exit(f"error: {script} did not start")
        yield url
    finally:
        process.stdin.close()
        process.wait(20)


class S3:
    """Runs the real S3 server of the tests."""

    access_key, secret_key, region = "test:tester", "testing", "us-east-1"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> S3:
        script = ROOT / "Tests" / "TestSupport" / "s3-server.sh"
        command = [str(script), str(self._folder / "s3"), str(Path(sys.executable).parent), *map(str, free_ports(4))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().decode().strip()
        if not self.url:
            sys.exit("error: the S3 server did not start")
        self.port = int(self.url.rsplit(":", 1)[1])
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)

    def count(self, bucket: str) -> int:
        return len(self._objects(bucket))

    def digests(self, bucket: str) -> dict[str, str]:
        """Returns the SHA-256 of each object's bytes, by its key."""
        client = self.client()
        return {
            key: hashlib.sha256(client.get_object(Bucket=bucket, Key=key)["Body"].read()).hexdigest() for key in self._objects(bucket)
        }

    def bad_objects(self, bucket: str) -> list[str]:
        """Returns the objects that differ from the hash in their metadata, and the unfinished uploads."""
        client = self.client()
        bad = []
        for key in self._objects(bucket):
            answer = client.get_object(Bucket=bucket, Key=key)
            if hashlib.sha256(answer["Body"].read()).hexdigest() != answer["Metadata"].get("sha256"):
                bad.append(key)
        uploads = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        return bad + [f"unfinished {upload['Key']}" for upload in uploads]

    def _objects(self, bucket: str) -> list[str]:
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def client(self) -> Any:
        import boto3

        return boto3.client(
            "s3", endpoint_url=self.url, region_name=self.region, aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )  # fmt: skip


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports
