"""Provides what all benchmarks use: running and measuring programs, and printing one line per figure.

The benchmarks assert nothing. Each line shows the measured figure, that of a peer measured in the same run, their
ratio, and the goal. `results.py` keeps the figures.

With TGPIPE_BENCH_QUICK=1, the benchmarks measure less, for a shorter time, and print only the headline figures.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from results import Goal, Row, file_of

ROOT = Path(__file__).resolve().parents[1]
TOOLS = Path(os.environ.get("TGPIPE_BIN", ROOT / ".build" / "release")).resolve()
# The modules of the demo start Redis, the emulator and the bot.
sys.path.insert(0, str(ROOT / "examples" / "demo"))
MEGABYTE = 1e6
QUICK = os.environ.get("TGPIPE_BENCH_QUICK", "") not in ("", "0")
Size = TypeVar("Size", int, float)


def tool(name: str) -> str:
    path = TOOLS / name
    if not path.exists():
        sys.exit(f"error: unable to find {name} in {TOOLS}: run make build")
    return str(path)


def sized(full: Size, quick: Size) -> Size:
    """Returns how much to measure: less in a quick run."""
    return quick if QUICK else full


_above: list[str] = []


def row(
    what: str, figure: float | bool, unit: str = "", *goals: Goal, peer: tuple[str, float] | None = None, headline: bool = False
) -> None:
    """Prints a figure, and keeps it.

    - Parameter what: the figure's name. One that begins with two spaces continues the name of the last row without them.
    - Parameter peer: the peer's name, and its figure in the same unit.
    - Parameter headline: whether a quick run measures it, too.
    """
    if QUICK and not headline:
        return
    benchmark = Path(sys.argv[0]).stem
    if not _above:
        # A run replaces the figures of the one before.
        file_of(benchmark).unlink(missing_ok=True)
    if not what.startswith("  "):
        _above[:] = [what]
    whole = what if what in _above else f"{_above[0]}: {what.strip()}"
    name, peer_figure = peer or ("", 0)
    made = Row(benchmark, whole, figure, unit, goals, name, peer_figure, headline)
    made.write(file_of(benchmark))
    verdict = f"{made.goal_text}: {'met' if made.meets else 'NOT MET'}" if made.has_goal else ""
    print(f"{what:<60} {made.figure_text:>22} {made.peer_text:>42} {made.ratio_text:>17}  {verdict}".rstrip(), flush=True)


@contextmanager
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tgpipe-bench-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Measured:
    def __init__(self, seconds: float, megabytes: float) -> None:
        self.seconds = seconds
        self.megabytes = megabytes


def measure(command: list[str], stdin: Path | None = None, stdout: Path | None = None, **more: Any) -> Measured:
    """Runs a program to its end. Measures wall time and peak memory of the process itself, without its children."""
    with open(stdin or os.devnull, "rb") as source, open(stdout or os.devnull, "wb") as sink:
        most = 0.0
        ended = threading.Event()

        def watch() -> None:
            nonlocal most
            while True:
                most = max(most, memory(process.pid, "VmHWM"))
                if ended.wait(0.02):
                    return

        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=source, stdout=sink, **more)
        watcher = threading.Thread(target=watch)
        watcher.start()
        # Do not poll for the end: polling would lengthen short runs and use processor time.
        process.wait()
        seconds = time.perf_counter() - started
        ended.set()
        watcher.join()
    if process.returncode != 0:
        sys.exit(f"error: {Path(command[0]).name} ended with status {process.returncode}")
    return Measured(seconds, most)


def touch_memory(folder: Path, size: int) -> None:
    """Makes the machine use as much memory for files as the next run needs.

    A virtual machine receives memory from its host at the first use, and returns it some seconds after it becomes free.
    That can take longer than the measured run, and would slow down only the first of several runs.
    """
    file = folder / "touched"
    piece = bytes(1 << 20)
    for _ in range(2):
        with file.open("wb", buffering=0) as output:
            for _ in range(size >> 20):
                output.write(piece)
        file.unlink()


def memory(pid: int, field: str) -> float:
    """Returns a field of /proc/PID/status in megabytes, or 0 if the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 / MEGABYTE for line in lines if line.startswith(f"{field}:")), 0)


def medians(times: int, *runs: Callable[[], Measured]) -> list[Measured]:
    """Alternates the candidates, so that disturbances affect all equally. Returns median times and peak memory."""
    results = [[run() for run in runs] for _ in range(times)]
    return [
        Measured(statistics.median(r.seconds for r in column), max(r.megabytes for r in column))
        for column in zip(*results, strict=True)
    ]


@contextmanager
def running(command: list[str], stdin: IO[bytes] | int = subprocess.PIPE, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program for the duration of the block, then closes its input and sends SIGTERM, and SIGKILL after 10 s."""
    process = subprocess.Popen(command, stdin=stdin, **more)
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def read_line(process: subprocess.Popen[bytes]) -> str:
    """Returns the address that a server prints when it is ready."""
    assert process.stdout is not None
    line = process.stdout.readline().decode().strip()
    if not line:
        sys.exit("error: a server did not start: see above")
    return line


@contextmanager
def redis(folder: Path) -> Iterator[Path]:
    """Runs a private Redis and yields the path of its socket."""
    socket = folder / "redis.sock"
    command = [
        "redis-server", "--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", "", "--appendonly", "no",
        "--logfile", str(folder / "redis.log"),
    ]  # fmt: skip
    with running(command):
        while not socket.exists():
            time.sleep(0.01)
        yield socket


def padded_clip(path: Path, size: int) -> None:
    """Makes a playable video of the given size: the index first, a short clip, then a box that players skip."""
    subprocess.run(
        ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=320x240:duration=2",
         "-f", "lavfi", "-i", "sine=duration=2", "-pix_fmt", "yuv420p", "-shortest",
         "-movflags", "+faststart", str(path)],
        check=True,
    )  # fmt: skip
    rest = size - path.stat().st_size
    with path.open("ab") as file:
        file.write(rest.to_bytes(4, "big") + b"free")
        rest -= 8
        while rest > 0:
            rest -= file.write(os.urandom(min(rest, 1 << 20)))
