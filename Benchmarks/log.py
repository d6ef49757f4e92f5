"""Measures ev-log: finding one request, storing the lines of eight processes, and what logging costs a stage.

The peers are `jq`, `grep -F` and, if it is installed, `lnav`; and Python's sqlite3 with the same schema, parsing included.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from bench import row, scratch, tool

LINES = 1_000_000
REQUESTS = 50_000
WRITERS = 8
EVENTS = 300_000


def main() -> None:
    with scratch() as folder:
        ids = [identifier(number) for number in range(REQUESTS)]
        files = write_lines(folder / "lines", ids)
        size = sum(file.stat().st_size for file in files)
        environment = {**os.environ, "TGPIPE_LOG_DIR": "", "TGPIPE_STATE": str(folder / "state")}
        ingest(folder, files, size, environment)
        find(folder, files, ids[REQUESTS // 2], environment)
        stage(folder)


def identifier(number: int) -> str:
    """Return an id of which neighbours have the same beginning, as those of UUIDv7."""
    return f"019a3c{number >> 16:02x}-{number & 0xFFFF:04x}-7222-8333-{number:012x}"


def write_lines(folder: Path, ids: list[str]) -> list[Path]:
    """Write the lines of eight processes, in the order of their times."""
    folder.mkdir()
    files = [folder / f"tool{number}-{4000 + number}-1700000000000000-0.ndjson" for number in range(WRITERS)]
    outputs = [file.open("w") for file in files]
    for number in range(LINES):
        second, rest = divmod(number * 37, 1_000_000)
        stamp = f"2026-01-31T{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}.{rest:06}Z"
        writer = number % WRITERS
        outputs[writer].write(
            f'{{"time":"{stamp}","level":"info","tool":"tool{writer}","correlation_id":"{ids[number * REQUESTS // LINES]}",'
            f'"message":"something was done","duration_ms":{number % 977}}}\n'
        )
    for output in outputs:
        output.close()
    return files


def median(run: Callable[[], float], times: int) -> float:
    """Return the median of several runs."""
    return statistics.median(run() for _ in range(times))


def seconds(command: list[str], environment: dict[str, str] | None = None, output: Path | None = None) -> float:
    """Run a command and return how long it took."""
    with (output or Path("/dev/null")).open("wb") as target:
        start = time.perf_counter()
        subprocess.run(command, check=True, env=environment, stdout=target, stderr=subprocess.DEVNULL)
        return time.perf_counter() - start


def ingest(folder: Path, files: list[Path], size: int, environment: dict[str, str]) -> None:
    """Store all lines with ev-log, and with Python into the same schema."""
    copy = folder / "logs"
    shutil.copytree(files[0].parent, copy)
    written = children_blocks()
    own = seconds([tool("ev-log"), "run", "--once", "--log-dir", str(copy), "--store", str(folder / "store")], environment)
    written = (children_blocks() - written) * 512
    start = time.perf_counter()
    python(folder / "python.sqlite", files)
    peer = time.perf_counter() - start
    row(
        f"ev-log run, {LINES:,} lines of {size // LINES} bytes in {WRITERS} files", f"{LINES / own:,.0f} lines/s",
        f"json and sqlite3.executemany {LINES / peer:,.0f} lines/s", f"{peer / own:.2f} ×", "at least 0.7 × the speed",
    )  # fmt: skip
    row("  written a byte of log", f"{written / size:.1f} bytes", wanted="at most 5")


def children_blocks() -> int:
    """Return the blocks of 512 bytes that ended children have written."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_oublock


def python(path: Path, files: list[Path]) -> None:
    """Store all lines as ev-log does, 1,000 at a time."""
    base = sqlite3.connect(path, isolation_level=None)
    base.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=4000;"
        "CREATE TABLE records(id INTEGER PRIMARY KEY, time INTEGER NOT NULL, level INTEGER NOT NULL, tool INTEGER NOT NULL,"
        " correlation BLOB, line TEXT NOT NULL);"
        "CREATE INDEX by_correlation ON records(correlation) WHERE correlation IS NOT NULL;"
    )
    levels = {"info": 2}
    tools: dict[str, int] = {}
    for file in files:
        with file.open() as lines:
            batch = []
            for line in lines:
                record = json.loads(line)
                stamp = record["time"]
                day = int(stamp[11:13]) * 3600 + int(stamp[14:16]) * 60 + int(stamp[17:19])
                batch.append((
                    day * 1_000_000 + int(stamp[20:26]), levels[record["level"]], tools.setdefault(record["tool"], len(tools)),
                    uuid.UUID(record["correlation_id"]).bytes, line[:-1],
                ))  # fmt: skip
                if len(batch) == 1000:
                    insert(base, batch)
                    batch = []
            insert(base, batch)
    base.close()


def insert(base: sqlite3.Connection, batch: list[tuple[int, int, int, bytes, str]]) -> None:
    """Insert rows in one transaction."""
    base.execute("BEGIN")
    base.executemany("INSERT INTO records(time, level, tool, correlation, line) VALUES(?, ?, ?, ?, ?)", batch)
    base.execute("COMMIT")


def find(folder: Path, files: list[Path], wanted: str, environment: dict[str, str]) -> None:
    """Find the lines of one request."""
    names = [str(file) for file in files]
    show = [tool("ev-log"), "show", "--store", str(folder / "store"), "--correlation", wanted]
    own_output, other = folder / "own", folder / "other"
    own = median(lambda: seconds(show, environment, own_output), 5)
    jq = seconds(["jq", "-c", f'select(.correlation_id == "{wanted}")', *names], None, other)
    assert sorted(own_output.read_text().splitlines()) == sorted(other.read_text().splitlines())
    grep = median(lambda: seconds(["grep", "-hF", wanted, *names]), 5)
    row(
        f"ev-log show --correlation in {LINES:,} lines", f"{own * 1000:.0f} ms", f"jq {jq:.2f} s", f"{jq / own:.0f} ×",
        "at least 50 × faster",
    )  # fmt: skip
    row("  the same", f"{own * 1000:.0f} ms", f"grep -F {grep * 1000:.0f} ms", f"{grep / own:.1f} ×", "at least 2 × faster")
    if shutil.which("lnav"):
        command = ["lnav", "-n", "-c", f":filter-in {wanted}", *names]
        lnav = seconds(command)
        row("  the same", f"{own * 1000:.0f} ms", f"lnav {lnav:.2f} s", f"{lnav / own:.0f} ×", "at least 50 × faster")


def stage(folder: Path) -> None:
    """Run stages with and without a folder for the log."""
    events = folder / "events"
    with events.open("w") as output:
        for number in range(EVENTS):
            id = identifier(number)
            output.write(
                f'{{"id":"{id}","type":"events.a","version":1,"correlation_id":"{id}","timestamp":"2026-01-31T12:00:00.000000Z",'
                '"payload":{"text":"the quick brown fox"},"meta":{}}\n'
            )
    environment = {**os.environ, "TGPIPE_STATE": str(folder / "state"), "TGPIPE_LOG": "warning"}
    command = [tool("ev-route"), "--from", str(events), "-o", "#=/dev/null"]
    on = median(lambda: seconds(command, {**environment, "TGPIPE_LOG_DIR": str(folder / "on")}), 5)
    off = median(lambda: seconds(command, {**environment, "TGPIPE_LOG_DIR": ""}), 5)
    row(
        f"ev-route with traces, {EVENTS:,} events", f"{on * 1000:.0f} ms", f"without {off * 1000:.0f} ms",
        f"{off / on:.2f} ×", "at least 0.85 × the speed",
    )  # fmt: skip


if __name__ == "__main__":
    main()
