"""Measures ev-route with a spool: the speed of writing events to disk while there is no reader.

It also checks that each event comes out once and in order after ev-route was killed with SIGKILL.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from bench import MEGABYTE, memory, row, scratch, tool
from results import at_least

EVENTS = int(os.environ.get("TGPIPE_SPOOL_EVENTS", "1000000"))
CORRELATION = "0192f0c1-2345-7abc-9def-0123456789ab"


def main() -> None:
    with scratch() as folder:
        fifo, out = folder / "late.fifo", folder / "out.ndjson"
        os.mkfifo(fifo)
        halves = [folder / "first.ndjson", folder / "second.ndjson"]
        write_events(halves[0], range(EVENTS // 2))
        write_events(halves[1], range(EVENTS // 2, EVENTS))
        size = sum(half.stat().st_size for half in halves)
        route = [tool("ev-route"), "--overflow", "spool", "--spool-size", "8G", "--spool", str(folder / "spool"), "-o", f"#={fifo}"]
        os.environ["TGPIPE_LOG"] = "warning"
        seconds = most = 0.0
        for half in halves:
            process, taken, megabytes = spooled(route, half, folder / "spool")
            seconds, most = seconds + taken, max(most, megabytes)
            # Kill ev-route after each half of the events, with the reader still absent.
            process.send_signal(signal.SIGKILL)
            process.wait()
        started = time.perf_counter()
        with out.open("wb") as sink, subprocess.Popen(["cat", str(fifo)], stdout=sink) as reader:
            last = subprocess.run(route, stdin=subprocess.DEVNULL, check=False)
            reader.wait()
        back = time.perf_counter() - started
        whole = subprocess.run(["cat", *map(str, halves)], stdout=subprocess.PIPE, check=True)
        same = digest(out.read_bytes()) == digest(whole.stdout) and last.returncode == 0
        copied = copy(halves[0], folder / "copy")
        row(
            f"{EVENTS:,} events of {size // EVENTS} bytes into a spool, no reader", size / seconds / MEGABYTE, "MB/s", at_least(300),
            peer=("cat | cat > file", halves[0].stat().st_size / copied / MEGABYTE),
        )  # fmt: skip
        row("  out of the spool, after the reader has returned", size / back / MEGABYTE, "MB/s")
        row("  peak memory", most, "MB")
        row("  each event once, in order, after two SIGKILLs", same)
        if not same:
            sys.exit("error: the events read from the spool differ from those written to it")


def spooled(route: list[str], source: Path, folder: Path) -> tuple[subprocess.Popen[bytes], float, float]:
    """Pipes a file into ev-route and waits until all of it is in the spool.

    Returns the process, the seconds that this took, and the peak memory in megabytes.
    """
    before = held(folder)
    wanted = before + source.stat().st_size
    started = time.perf_counter()
    cat = subprocess.Popen(["cat", str(source)], stdout=subprocess.PIPE)
    assert cat.stdout is not None
    # The pipe stays open in this process, so that only the SIGKILL ends ev-route.
    process = subprocess.Popen(route, stdin=cat.stdout)
    while held(folder) < wanted and process.poll() is None:
        time.sleep(0.005)
    seconds = time.perf_counter() - started
    megabytes = memory(process.pid, "VmHWM")
    cat.wait()
    return process, seconds, megabytes


def held(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.ndjson")) if folder.exists() else 0


def copy(source: Path, target: Path) -> float:
    started = time.perf_counter()
    with source.open("rb") as file, target.open("wb") as sink:
        first = subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE)
        subprocess.run(["cat"], stdin=first.stdout, stdout=sink, check=True)
        first.wait()
    return time.perf_counter() - started


def digest(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()


def write_events(path: Path, numbers: range) -> None:
    with path.open("w") as file:
        for number in numbers:
            text = "x" * (number % 600)
            file.write(
                f'{{"id":"01930b7a-4f00-7abc-8def-{number:012x}","type":"commands.media.video_download",'
                f'"correlation_id":"{CORRELATION}","payload":{{"url":"https://example.com/{number}","text":"{text}"}}}}\n'
            )


if __name__ == "__main__":
    main()
