"""blob-put against boto3: a file of 500 MB to a real S3 server on this machine."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path

from bench import MEGABYTE, ROOT, Measured, measure, medians, read_line, row, running, scratch, tool, touch_memory

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
    with scratch() as folder:
        file = folder / "file.bin"
        with file.open("wb") as output:
            for _ in range(SIZE // 1_000_000):
                output.write(secrets.token_bytes(1_000_000))
        command = [
            str(ROOT / "Tests/TestSupport/s3-server.sh"), str(folder / "s3"), str(Path(sys.executable).parent),
            *map(str, free_ports(4)),
        ]  # fmt: skip
        with running(command, stdout=subprocess.PIPE) as server:
            endpoint = read_line(server)
            compare(endpoint, file)


def compare(endpoint: str, file: Path) -> None:
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": "test:tester", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": endpoint, "TGPIPE_S3_ENDPOINT": endpoint,
        "TGPIPE_LOG": "warning",
    }  # fmt: skip

    def own() -> Measured:
        touch_memory(file.parent, SIZE)
        key = f"own/{secrets.token_hex(8)}"
        command = [tool("blob-put"), "--store", f"s3://{BUCKET}", "--create-bucket", "--file", str(file), "--key", key]
        return afterwards(measure(command, env=environment))

    def peer() -> Measured:
        touch_memory(file.parent, SIZE)
        key = f"peer/{secrets.token_hex(8)}"
        return afterwards(measure([sys.executable, "-c", UPLOAD, endpoint, str(file), BUCKET, key], env=environment))

    def afterwards(measured: Measured) -> Measured:
        subprocess.run([sys.executable, "-c", EMPTY, endpoint, BUCKET], env=environment, check=True)
        return measured

    starting = measure([sys.executable, "-c", "import boto3; boto3.client('s3')"], env=environment).seconds
    mine, other = medians(RUNS, own, peer)
    # Its start is not what boto3 is compared by.
    rates = [SIZE / MEGABYTE / seconds for seconds in (mine.seconds, other.seconds - starting)]
    row(
        "blob-put, 500 MB", f"{rates[0]:.0f} MB/s", f"boto3 {rates[1]:.0f} MB/s", f"{rates[0] / rates[1]:.2f} ×",
        "at least 1.5 ×",
    )  # fmt: skip
    row("blob-put, memory", f"{mine.megabytes:.1f} MB", f"boto3 {other.megabytes:.1f} MB", wanted="under 60 MB")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


if __name__ == "__main__":
    main()
