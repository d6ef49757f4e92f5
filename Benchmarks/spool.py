"""ev-route with a spool: how fast events go to disk while nobody reads, and whether each comes out once, in order, after a SIGKILL."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from bench import MEGABYTE, memory, row, scratch, tool

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
        seconds = most = 0.0
        for half in halves:
            process, taken, megabytes = spooled(route, half, folder / "spool")
            seconds, most = seconds + taken, max(most, megabytes)
            # In the middle, and once more at the end, with the reader still absent.
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
            f"{EVENTS:,} events of {size // EVENTS} bytes into a spool, nobody reads", f"{size / seconds / MEGABYTE:,.0f} MB/s",
            f"cat | cat > file {halves[0].stat().st_size / copied / MEGABYTE:,.0f} MB/s", wanted="at least 300 MB/s",
        )  # fmt: skip
        row("  the reader is back: out of it", f"{size / back / MEGABYTE:,.0f} MB/s")
        row("  the most memory", f"{most:.0f} MB")
        row("  after two SIGKILLs each event once, in order", "yes" if same else "NO", wanted="yes")
        if not same:
            sys.exit("error: what came out of the spool is not what went in")


def spooled(route: list[str], source: Path, folder: Path) -> tuple[subprocess.Popen[bytes], float, float]:
    """Starts ev-route on a file through a pipe, and returns when all of it is in the spool: also how long that took, and its memory."""
    before = held(folder)
    wanted = before + source.stat().st_size
    started = time.perf_counter()
    cat = subprocess.Popen(["cat", str(source)], stdout=subprocess.PIPE)
    assert cat.stdout is not None
    # The pipe is kept open here: it is the SIGKILL that ends ev-route.
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
