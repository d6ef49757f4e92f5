"""Measures what TLS to Redis costs: the same events into a queue and over a hop, over TCP of the loopback, with TLS and without."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import row, running, scratch, tool
from queue_events import PASS, wait, write_events
from results import at_least

EVENTS = 100_000
RUNS = 3


def main() -> None:
    with scratch() as folder, server(folder) as addresses:
        events = folder / "events.ndjson"
        write_events(events, EVENTS)
        best: dict[tuple[str, str], float] = {}
        for _ in range(RUNS):
            # In turn, so that a slow moment of the machine concerns both.
            for name, address in addresses.items():
                environment = os.environ | {"TGPIPE_REDIS": address, "TGPIPE_STATE": str(folder / name), "TGPIPE_LOG": "error"}
                for path, seconds in (("pipe to queue", fill(events, environment)), ("queue to queue", hop(environment))):
                    best[name, path] = min(best.get((name, path), seconds), seconds)
        for path in ("pipe to queue", "queue to queue"):
            tls, plain = best["tls", path], best["plain", path]
            row(
                f"{path} with TLS, {EVENTS:,} events of 700 bytes", EVENTS / tls, "events/s", at_least(0.7, times=True),
                peer=("without", EVENTS / plain),
            )  # fmt: skip


def fill(events: Path, environment: dict[str, str]) -> float:
    started = time.perf_counter()
    with events.open("rb") as lines:
        subprocess.run([tool("ratelimit"), *PASS, "--to", "queue:a"], stdin=lines, env=environment, check=True)
    return time.perf_counter() - started


def hop(environment: dict[str, str]) -> float:
    started = time.perf_counter()
    with running([tool("ratelimit"), *PASS, "--from", "queue:a", "--to", "queue:b"], env=environment):
        wait("a", environment)
        seconds = time.perf_counter() - started
    for queue in ("a", "b"):
        subprocess.run([tool("ev-queue"), "purge", queue, "--yes"], env=environment, check=True)
    return seconds


@contextmanager
def server(folder: Path) -> Iterator[dict[str, str]]:
    """Runs a Redis that listens with TLS and without. Yields both addresses, by name."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=benchmark", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    plain, tls = free_port(), free_port()
    command = [
        "redis-server", "--port", str(plain), "--tls-port", str(tls), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "",
        "--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file", "cert.pem", "--tls-auth-clients", "no",
        "--logfile", "redis.log",
    ]  # fmt: skip
    with running(command):
        while subprocess.run(["redis-cli", "-p", str(plain), "PING"], capture_output=True, check=False).stdout != b"PONG\n":
            time.sleep(0.05)
        yield {"plain": f"redis://127.0.0.1:{plain}", "tls": f"rediss://127.0.0.1:{tls}?cacert={folder}/cert.pem"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()
