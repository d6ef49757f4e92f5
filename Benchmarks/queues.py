"""Measures queues: events per second over one hop (taken, published, acknowledged), with and without an order over several workers, and
memory: of the queue for each event, and of Redis and a stage during a long run.

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

from bench import QUICK, memory, redis, row, running, scratch, sized, tool
from queue_events import PASS, wait, write_events
from results import at_least, at_most

EVENTS = sized(200_000, 100_000)
RUNS = sized(3, 1)
ORDERED = 50_000
THROUGH = int(os.environ.get("TGPIPE_BENCH_EVENTS", "500000"))


def main() -> None:
    with scratch() as folder, redis(folder) as socket:
        environment = os.environ | {"TGPIPE_REDIS": f"unix:{socket}", "TGPIPE_STATE": str(folder), "TGPIPE_LOG": "error"}
        events = folder / "events.ndjson"
        write_events(events, EVENTS)
        peer = ("redis-benchmark XADD", max(redis_benchmark(socket) for _ in range(RUNS)))
        fills = []
        for workers, wanted in ((1, 100_000), (4, 150_000))[: sized(2, 1)]:
            hops = []
            for _ in range(RUNS):
                before = redis_info(socket, "memory", "used_memory")
                fills.append(fill(events, environment, "a"))
                beside = (redis_info(socket, "memory", "used_memory") - before - events.stat().st_size) / EVENTS
                hops.append(hop(environment, workers))
            row(
                f"queue to queue, workers: {workers}, {EVENTS:,} events of 700 bytes", EVENTS / min(hops), "events/s",
                at_least(wanted), peer=peer, headline=workers == 1,
            )  # fmt: skip
        if QUICK:
            return
        row(f"pipe to queue, {EVENTS:,} events of 700 bytes", EVENTS / min(fills), "events/s", peer=peer)
        row("  memory of Redis for an event, beside its line", beside, "bytes", at_most(400))
        for workers in (1, 2, 4):
            ordered(folder, events, environment, workers)
        many(folder, events, environment, redis_info(socket, "server", "process_id"))


def fill(events: Path, environment: dict[str, str], queue: str) -> float:
    """Returns the seconds that it takes to put all events into a queue."""
    started = time.perf_counter()
    with events.open("rb") as lines:
        subprocess.run([tool("ratelimit"), *PASS, "--to", f"queue:{queue}"], stdin=lines, env=environment, check=True)
    return time.perf_counter() - started


def hop(environment: dict[str, str], workers: int) -> float:
    """Returns the seconds in which workers move all events of one queue to another, and empties that."""
    started = time.perf_counter()
    with ExitStack() as stack:
        for _ in range(workers):
            stack.enter_context(running([tool("ratelimit"), *PASS, "--from", "queue:a", "--to", "queue:b"], env=environment))
        wait("a", environment)
        seconds = time.perf_counter() - started
    subprocess.run([tool("ev-queue"), "purge", "b", "--yes"], env=environment, check=True)
    return seconds


def ordered(folder: Path, events: Path, environment: dict[str, str], workers: int) -> None:
    """Compares workers that keep the order of 1,000 chats with workers that do not."""
    some = folder / "some.ndjson"
    with events.open() as lines:
        some.write_text("".join(line for line, _ in zip(lines, range(ORDERED), strict=False)))
    rates = [one(some, environment, workers, order) for order in ([], ["--order-by", "payload.chat_id,meta.origin.chat_id"])]
    row(
        f"{ORDERED:,} events of 1,000 chats in order, workers: {workers}", rates[1], "events/s", peer=("without order", rates[0])
    )


def one(events: Path, environment: dict[str, str], workers: int, order: list[str]) -> float:
    """Returns the number of events per second that workers finish together."""
    fill(events, environment, "o")
    command = [tool("ev-queue"), "work", "o", *order, "--batch", "50", "--concurrency", "2", "--to", "/dev/null", "--", "cat"]
    started = time.perf_counter()
    with ExitStack() as stack:
        for _ in range(workers):
            stack.enter_context(running(command, env=environment))
        wait("o", environment)
        seconds = time.perf_counter() - started
    subprocess.run([tool("ev-queue"), "purge", "o", "--yes"], env=environment, check=True)
    return ORDERED / seconds


def many(folder: Path, events: Path, environment: dict[str, str], server: int) -> None:
    """Sends events through two queues, and measures the memory of the stage between them and of Redis."""
    block = events.read_bytes()
    source = [tool("ratelimit"), *PASS, "--to", "queue:a", "--max-length", "50000"]
    middle = [tool("ratelimit"), *PASS, "--from", "queue:a", "--to", "queue:b", "--max-length", "50000"]
    end = [tool("ratelimit"), *PASS, "--from", "queue:b", "--to", "/dev/null"]
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
    row(f"{count:,} events over two hops", count / seconds, "events/s")
    # The queues and the stage's buffers fill at first.
    early = samples[: max(1, len(samples) // 2)]
    for index, name in enumerate(("the stage between them", "Redis")):
        first, last = max(s[index] for s in early), max(s[index] for s in samples)
        row(f"  most memory of {name}", last, "MB", at_most(1.2, times=True), peer=("in the first half", first))


def redis_info(socket: Path, section: str, field: str) -> int:
    """Returns a number from what Redis tells about itself."""
    answer = subprocess.run(["redis-cli", "-s", str(socket), "INFO", section], capture_output=True, text=True, check=True).stdout
    return next(int(line.split(":")[1]) for line in answer.splitlines() if line.startswith(f"{field}:"))


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
