"""Measures ev-log: finding one request, storing the lines of eight processes, exporting spans, and what logging costs a stage.

The peers are `jq`, `grep -F` and, if it is installed, `lnav`; Python's sqlite3 with the same schema, parsing included; systemd's
journald, for root only; and OpenTelemetry's SDK for Python. What logging costs a `.vdl` is measured by the benchmark `cached`.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import rotel
from bench import row, running, scratch, tool
from results import at_least, at_most

LINES = 1_000_000
REQUESTS = 50_000
WRITERS = 8
EVENTS = 300_000
JOURNAL_LINES = 200_000
SPANS = 50_000
BATCH = 512
SDK = """
import sys, time
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanKind
url, count, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ended = []
class Keeper(SpanProcessor):
    def on_end(self, span):
        ended.append(span)
provider = TracerProvider(resource=Resource.create({"service.name": "tg-gate"}))
provider.add_span_processor(Keeper())
tracer = provider.get_tracer("tgpipe")
for number in range(count):
    id = f"019a3c00-0000-7222-8333-{number // 8:012x}"
    tracer.start_span("process events.a", kind=SpanKind.CONSUMER, attributes={
        "messaging.system": "tgpipe", "messaging.operation.type": "process", "messaging.operation.name": "process",
        "messaging.destination.name": "events.a", "messaging.message.id": id, "messaging.message.conversation_id": id,
        "tgpipe.event.type": "events.a", "tgpipe.outcome": "done"}).end()
exporter = OTLPSpanExporter(endpoint=url)
start = time.perf_counter()
for first in range(0, count, batch):
    assert exporter.export(ended[first : first + batch]) is SpanExportResult.SUCCESS
print(time.perf_counter() - start)
"""
JOURNALD = """
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal
mount --bind "$1" /run/log/journal
printf '[Journal]\\nStorage=volatile\\nRateLimitBurst=0\\nReadKMsg=no\\nAudit=no\\nRuntimeMaxUse=4G\\n' \
    > /run/systemd/journald.conf.d/bench.conf
/lib/systemd/systemd-journald & journald=$!
until [ -S /run/systemd/journal/stdout ]; do sleep 0.1; done
start=$(date +%s.%N)
shift
writers=()
for file; do systemd-cat -t bench cat "$file" & writers+=($!); done
wait "${writers[@]}"
journalctl --sync
end=$(date +%s.%N)
echo "$start $end $(journalctl -q -t bench -o cat | wc -l)"
kill $journald
"""


def main() -> None:
    with scratch() as folder:
        ids = [identifier(number) for number in range(REQUESTS)]
        files = write_lines(folder / "lines", ids)
        size = sum(file.stat().st_size for file in files)
        environment = {**os.environ, "TGPIPE_LOG_DIR": "", "TGPIPE_STATE": str(folder / "state")}
        ingest(folder, files, size, environment)
        find(folder, files, ids[REQUESTS // 2], environment)
        export(folder, environment)
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
        f"ev-log run, {LINES:,} lines of {size // LINES} bytes in {WRITERS} files", LINES / own, "lines/s", at_least(0.7, times=True),
        peer=("json and sqlite3.executemany", LINES / peer),
    )  # fmt: skip
    if os.getuid() == 0:
        row("  the same", LINES / own, "lines/s", at_least(3, times=True), peer=("journald", journald(folder, files)))
    row("  written a byte of log", written / size, "bytes", at_most(5))


def journald(folder: Path, files: list[Path]) -> float:
    """Return the number of lines a second that journald stores for eight writers, in a name space of its own."""
    journal, parts = folder / "journal", folder / "parts"
    journal.mkdir()
    parts.mkdir()
    for file in files:
        with file.open() as lines, (parts / file.name).open("w") as part:
            for _ in range(JOURNAL_LINES // len(files)):
                part.write(next(lines))
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", JOURNALD, "bash", str(journal)]
    command += [str(path) for path in sorted(parts.iterdir())]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    start, end, count = answer.split()
    assert int(count) == JOURNAL_LINES, answer
    return JOURNAL_LINES / (float(end) - float(start))


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
    milliseconds = own * 1000
    row(f"ev-log show --correlation in {LINES:,} lines", milliseconds, "ms", at_least(50, times=True), peer=("jq", jq * 1000))
    row("  the same", milliseconds, "ms", at_least(2, times=True), peer=("grep -F", grep * 1000))
    if shutil.which("lnav"):
        command = ["lnav", "-n", "-c", f":filter-in {wanted}", *names]
        row("  the same", milliseconds, "ms", at_least(50, times=True), peer=("lnav", seconds(command) * 1000))


def export(folder: Path, environment: dict[str, str]) -> None:
    """Send the same spans to a collector with ev-log and with OpenTelemetry's SDK."""
    store = folder / "spans"
    lines = []
    for number in range(SPANS):
        id = identifier(number // 8)
        lines.append(
            f'{{"time":"2026-01-31T12:00:00.{number:06}Z","tool":"tg-gate","pid":7,"span_id":"{number + 1:016x}",'
            f'"parent_id":"{number // 8 * 8 + 1:016x}","correlation_id":"{id}","event_id":"{id}","event_type":"events.a",'
            '"operation":"process","duration_ns":1500000,"outcome":"done"}\n'
        )
    subprocess.run(
        [tool("ev-log"), "import", "--store", str(store)], check=True, env=environment, input="".join(lines).encode(),
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    agent = Path(rotel.__file__).parent / "rotel-agent"
    ports = [free_port(), free_port()]
    command = [str(agent), "start", "--exporter", "blackhole", "--otlp-http-endpoint", f"127.0.0.1:{ports[0]}"]
    command += ["--otlp-grpc-endpoint", f"127.0.0.1:{ports[1]}"]
    url = f"http://127.0.0.1:{ports[0]}"
    with running(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        while not is_open(ports[0]):
            time.sleep(0.05)
        variables = {**environment, "OTEL_EXPORTER_OTLP_ENDPOINT": url}

        def all_again() -> float:
            (store / "export-traces.json").unlink(missing_ok=True)
            return seconds([tool("ev-log"), "export", "--once", "--store", str(store)], variables)

        own = median(all_again, 5)
        peer = median(lambda: sdk_export(f"{url}/v1/traces"), 3)
    row(
        f"ev-log export, {SPANS:,} spans to rotel", SPANS / own, "spans/s", at_least(3, times=True),
        peer=("OpenTelemetry's SDK for Python", SPANS / peer),
    )  # fmt: skip


def sdk_export(url: str) -> float:
    """Return how long the exporter of the SDK takes for spans that are there already."""
    command = [sys.executable, "-c", SDK, url, str(SPANS), str(BATCH)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_open(port: int) -> bool:
    """Return whether something listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


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
        f"ev-route with traces, {EVENTS:,} events", EVENTS / on, "events/s", at_least(0.85, times=True), peer=("without", EVENTS / off)
    )
    logs = folder / "on"
    keeper = [tool("ev-log"), "run", "--log-dir", str(logs), "--store", str(folder / "kept")]
    with running(keeper, stderr=subprocess.DEVNULL, env={**environment, "TGPIPE_LOG_DIR": ""}):
        kept = median(lambda: seconds(command, {**environment, "TGPIPE_LOG_DIR": str(logs)}), 5)
    row("  while ev-log run is stopped", EVENTS / on, "events/s", at_least(0.97, times=True), peer=("while it runs", EVENTS / kept))


if __name__ == "__main__":
    main()
