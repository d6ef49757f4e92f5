"""Measures queues: events per second over one hop (taken, published, acknowledged), with and without an order over several workers, and
memory during a long run.

TGPIPE_BENCH_EVENTS sets the number of events in the long run, for example to 5000000.
"""

from __future__ import annotations

import csv
import io
import os
import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from bench import memory, redis, row, running, scratch, tool
from queue_events import PASS, wait, write_events

EVENTS = 200_000
ORDERED = 50_000
THROUGH = int(os.environ.get("TGPIPE_BENCH_EVENTS", "500000"))


def main() -> None:
    with scratch() as folder, redis(folder) as socket:
        environment = os.environ | {"TGPIPE_REDIS": f"unix:{socket}", "TGPIPE_STATE": str(folder), "TGPIPE_LOG": "error"}
        events = folder / "events.ndjson"
        write_events(events, EVENTS)
        adding = redis_benchmark(socket)
        started = time.perf_counter()
        with events.open("rb") as lines:
            subprocess.run([tool("ratelimit"), *PASS, "--to", "queue:a"], stdin=lines, env=environment, check=True)
        tell("pipe to queue", EVENTS / (time.perf_counter() - started), adding, "")
        hop(environment, adding)
        for workers in (1, 2, 4):
            ordered(folder, events, environment, workers)
        many(folder, events, environment)


def hop(environment: dict[str, str], adding: float) -> None:
    started = time.perf_counter()
    with running([tool("ratelimit"), *PASS, "--from", "queue:a", "--to", "queue:b"], env=environment):
        wait("a", environment)
        seconds = time.perf_counter() - started
    tell("queue to queue", EVENTS / seconds, adding, "at least 20,000/s")
    subprocess.run([tool("ev-queue"), "purge", "b", "--yes"], env=environment, check=True)


def ordered(folder: Path, events: Path, environment: dict[str, str], workers: int) -> None:
    """Compares workers that keep the order of 1,000 chats with workers that do not."""
    some = folder / "some.ndjson"
    with events.open() as lines:
        some.write_text("".join(line for line, _ in zip(lines, range(ORDERED), strict=False)))
    rates = [one(some, environment, workers, order) for order in ([], ["--order-by", "payload.chat_id,meta.origin.chat_id"])]
    row(
        f"{ORDERED:,} events of 1,000 chats in order, {workers} workers", f"{rates[1]:,.0f} events/s",
        f"without order {rates[0]:,.0f}/s", f"{rates[1] / rates[0]:.2f} ×",
    )  # fmt: skip


def one(events: Path, environment: dict[str, str], workers: int, order: list[str]) -> float:
    """Returns the number of events per second that workers finish together."""
    with events.open("rb") as lines:
        subprocess.run([tool("ratelimit"), *PASS, "--to", "queue:o"], stdin=lines, env=environment, check=True)
    command = [tool("ev-queue"), "work", "o", *order, "--batch", "50", "--concurrency", "2", "--to", "/dev/null", "--", "cat"]
    started = time.perf_counter()
    with ExitStack() as stack:
        for _ in range(workers):
            stack.enter_context(running(command, env=environment))
        wait("o", environment)
        seconds = time.perf_counter() - started
    subprocess.run([tool("ev-queue"), "purge", "o", "--yes"], env=environment, check=True)
    return ORDERED / seconds


def tell(what: str, rate: float, peer: float, wanted: str) -> None:
    row(
        f"{what}, {EVENTS:,} events of 700 bytes", f"{rate:,.0f} events/s", f"redis-benchmark XADD {peer:,.0f}/s",
        f"{rate / peer:.2f} ×", wanted,
    )  # fmt: skip


def many(folder: Path, events: Path, environment: dict[str, str]) -> None:
    """Sends events through two queues, and measures the memory of the stage between them and of Redis."""
    block = events.read_bytes()
    source = [tool("ratelimit"), *PASS, "--to", "queue:a", "--max-length", "50000"]
    middle = [tool("ratelimit"), *PASS, "--from", "queue:a", "--to", "queue:b", "--max-length", "50000"]
    end = [tool("ratelimit"), *PASS, "--from", "queue:b", "--to", "/dev/null"]
    server = redis_pid(folder)
    samples: list[tuple[float, float]] = []
    started = time.perf_counter()
    with (
        running(middle, env=environment) as worker,
        running(end, env=environment),
        running(source, env=environment) as feeder,
    ):

        def feed() -> None:
            assert feeder.stdin is not None
            for _ in range(THROUGH // EVENTS or 1):
                feeder.stdin.write(block)
            feeder.stdin.close()

        writer = threading.Thread(target=feed)
        writer.start()
        while feeder.poll() is None:
            time.sleep(0.2)
            samples.append((memory(worker.pid, "VmRSS"), memory(server, "VmRSS")))
        writer.join()
        for queue in ("a", "b"):
            wait(queue, environment)
        samples.append((memory(worker.pid, "VmRSS"), memory(server, "VmRSS")))
    seconds = time.perf_counter() - started
    count = (THROUGH // EVENTS or 1) * EVENTS
    early = samples[: max(1, len(samples) // 5)]
    for index, name in enumerate(("stage", "Redis")):
        first, last = max(s[index] for s in early), max(s[index] for s in samples)
        row(
            f"{name}'s memory, {count:,} events, two hops", f"{last:,.1f} MB", f"first fifth {first:,.1f} MB",
            f"{last / max(first, 0.1):.2f} ×", "flat" if index == 0 else f"{count / seconds:,.0f} events/s",
        )  # fmt: skip


def redis_pid(folder: Path) -> int:
    """Returns the process id of the Redis whose socket is in the folder."""
    answer = subprocess.run(
        ["redis-cli", "-s", str(folder / "redis.sock"), "INFO", "server"], capture_output=True, text=True, check=True
    ).stdout
    return next(int(line.split(":")[1]) for line in answer.splitlines() if line.startswith("process_id:"))


def redis_benchmark(socket: Path) -> float:
    """Returns how many entries of the same size Redis adds per second, over one connection and in batches of 100."""
    command = [
        "redis-benchmark", "-s", str(socket), "-c", "1", "-P", "100", "-n", "200000", "--csv",
        "XADD", "s", "*", "e", "x" * 700,
    ]  # fmt: skip
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (measured,) = csv.DictReader(io.StringIO(table))
    subprocess.run(["redis-cli", "-s", str(socket), "DEL", "s"], capture_output=True, check=True)
    return float(measured["rps"])


if __name__ == "__main__":
    main()
