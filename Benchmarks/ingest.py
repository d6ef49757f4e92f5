"""Measures the ingestion of histories: emulator → tg-history → msg-store → PostgreSQL, and each part, against its peers.

TGPIPE_BENCH_MESSAGES sets the length of the history (200,000), for example to 5000000; TGPIPE_BENCH_PEER_MESSAGES how much of it
the slower peers read and store (20,000); with floods, Telethon reads up to 200,000, since its accounts make too few calls otherwise
to be refused at all. `ingest.py peers` measures the peers alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from account import Emulator, emulated
from bench import TOOLS, row, scratch, tool
from postgres import Postgres, postgres

MESSAGES = int(os.environ.get("TGPIPE_BENCH_MESSAGES", "200000"))
PEER_MESSAGES = min(int(os.environ.get("TGPIPE_BENCH_PEER_MESSAGES", "20000")), MESSAGES)
FLOODED_PEER_MESSAGES = min(200_000, MESSAGES)
CHAT, NAME = -1_000_000_000_500, "bench_history"
ACCOUNTS: list[dict[str, Any]] = [
    {"id": 50 + n, "phone": f"1555010005{n}", "first_name": f"Reader {n}", "username": f"reader_{n}"} for n in range(8)
]
# Each account is refused now and then, and has to wait a second or two.
FLOODS = {"methods": ["messages.getHistory"], "every": 100, "shortest": 1, "longest": 2, "seed": 1}
PEERS = Path(__file__).with_name("ingest_peers.py")
# What the emulator hashes, in the form of COPY.
STORED = """COPY (SELECT chat_id, message_id, extract(epoch FROM date)::bigint, extract(epoch FROM edit_date)::bigint, sender_id,
    coalesce(text, ''), reply_to_id, topic_id, album_id, views, forwards, replies, extract(epoch FROM forward_date)::bigint,
    forward_from_id, forward_message_id FROM messages WHERE deleted_at IS NULL ORDER BY message_id) TO STDOUT"""
Json = dict[str, Any]


@dataclass
class Run:
    """What one or several programs took for a number of messages."""

    messages: int
    seconds: float
    processor_seconds: float
    megabytes: float
    """The most that one of them held."""

    @property
    def rate(self) -> float:
        return self.messages / self.seconds

    @property
    def microseconds(self) -> float:
        """The processor time of the programs per message, without servers."""
        return self.processor_seconds / self.messages * 1e6

    def __str__(self) -> str:
        return f"{self.rate:,.0f}/s, {self.microseconds:.1f} µs"


def run(*commands: list[str], messages: int, stdin: Path | None = None, stdout: Path | None = None, **more: Any) -> Run:
    """Runs a pipeline to its end."""
    begun, processes = time.perf_counter(), []
    source = open(stdin or os.devnull, "rb")
    for number, command in enumerate(commands):
        is_last = number == len(commands) - 1
        sink = open(stdout or os.devnull, "wb") if is_last else subprocess.PIPE
        process = subprocess.Popen(command, stdin=source, stdout=sink, **more)
        source.close()
        if is_last:
            sink.close()  # type: ignore[union-attr]
        else:
            assert process.stdout is not None
            source = process.stdout  # type: ignore[assignment]
        processes.append(process)
    processor, most = 0.0, 0.0
    for process in processes:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"error: {Path(str(process.args[0])).name} ended with status {process.returncode}")  # type: ignore[index]
        processor += used.ru_utime + used.ru_stime
        most = max(most, used.ru_maxrss * 1024 / 1e6)
    return Run(messages, time.perf_counter() - begun, processor, most)


def peer(*arguments: str) -> Run:
    command = [sys.executable, "-B", str(PEERS), *arguments]
    told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
    return Run(told["messages"], told["seconds"], told["processor_seconds"], told["megabytes"])


class Bench:
    def __init__(self, folder: Path, emulator: Emulator, server: Postgres) -> None:
        self._folder, self._emulator, self._server = folder, emulator, server
        self._events = folder / "events.ndjson"
        self._count = emulator.control("/seeded", {
            "accounts": [account["id"] for account in ACCOUNTS], "chat_id": CHAT, "chat_type": "channel", "chat_username": NAME,
            "count": MESSAGES, "seed": 11, "holes": 0.02,
        })["alive"]  # fmt: skip
        names = {f"reader_{number}": int(account["id"]) for number, account in enumerate(ACCOUNTS)}
        self._environment = emulator.logged_in(folder / "state", names)
        self._sessions = [word for name in names for word in ("--session", name)]

    # The peers.

    def telethon(self, *, floods: bool) -> Run:
        self._set_floods(floods)
        names = [str(account["username"]) for account in ACCOUNTS]
        count = FLOODED_PEER_MESSAGES if floods else PEER_MESSAGES
        done = peer("telethon", self._server.create("peer"), self._emulator.url, str(CHAT), str(count), *names)
        self._set_floods(False)
        return done

    def loading_peers(self) -> dict[str, Run]:
        file = str(self._events)
        return {form: peer("copy", self._server.create("peer"), file, form) for form in ("text", "jsonb", "none")} | {
            "upsert": peer("upsert", self._server.create("peer"), file),
            "rows": peer("rows", self._server.create("peer"), file, str(PEER_MESSAGES)),
        }  # fmt: skip

    def make_events(self) -> None:
        """Writes envelopes such as those of tg-history, for the peers alone."""
        head = {"version": 1, "correlation_id": "0197f0a0-0000-7000-8000-000000000001", "timestamp": "2026-01-01T00:00:00.000Z"}
        address = f"{self._emulator.url}/control/mtproto/seeded/{CHAT}/rows"
        with urllib.request.urlopen(address) as lines, self._events.open("w") as file:
            for line in lines:
                fields = [None if field == "\\N" else field for field in line.decode().rstrip("\n").split("\t")]
                _, identity, date, edited, _, text, reply, _, album, views, forwards, *_ = fields
                chat = {"id": CHAT, "title": "Bench", "username": NAME, "type": "channel"}
                body: Json = {"message_id": int(identity or 0), "sender_chat": chat, "chat": chat, "date": int(date or 0)}
                body |= {"text": text}
                body |= {"edit_date": int(edited)} if edited else {}
                body |= {"reply_to_message": {"message_id": int(reply), "chat": chat, "date": 0}} if reply else {}
                body |= {"media_group_id": album} if album else {}
                counters = {"views": int(views), "forwards": int(forwards or 0)} if views else {}
                envelope = head | {
                    "event_id": f"bench-{identity}", "type": "events.telegram.message",
                    "meta": {"account": {"id": 50}}, "payload": {"channel_post": body, "counters": counters, "pts": MESSAGES},
                }  # fmt: skip
                file.write(json.dumps(envelope, ensure_ascii=False) + "\n")

    # The tools.

    def whole(self, database: str, *, floods: bool) -> Run:
        self._set_floods(floods)
        self._emulator.control("/floods", method="DELETE")
        done = run(
            [tool("msg-store"), "plan", f"@{NAME}", "--db", database], [tool("tg-history"), *self._sessions],
            [tool("msg-store"), "load", "--db", database], messages=self._count, env=self._environment,
        )  # fmt: skip
        self._set_floods(False)
        return done

    def early_calls(self) -> str:
        told = self._emulator.control("/floods")
        return f"{told['early_calls']} of {told['refusals']} waits"

    def is_complete(self, database: str) -> bool:
        return self._server.digest(STORED, database) == self._emulator.rows_digest(CHAT)

    def record(self) -> Run:
        """Reads the history into a file."""
        commands = self._folder / "commands.ndjson"
        store = self._folder / "empty.sqlite"
        run([tool("msg-store"), "plan", f"@{NAME}", "--db", str(store)], messages=1, stdout=commands, env=self._environment)
        return run(
            [tool("tg-history"), *self._sessions], messages=self._count, stdin=commands, stdout=self._events,
            env=self._environment,
        )  # fmt: skip

    def load(self, database: str, *options: str) -> Run:
        command = [tool("msg-store"), "load", "--db", database, *options]
        return run(command, messages=self._count, stdin=self._events, env=self._environment)

    def _set_floods(self, wanted: bool) -> None:
        self._emulator.control("/fault", method="DELETE")
        if wanted:
            self._emulator.control("/floods", FLOODS)


def measure_peers(bench: Bench) -> None:
    bench.make_events()
    row("Telethon + asyncpg, 8 sessions, a page at a time", str(bench.telethon(floods=False)))
    row("  the same, with floods", str(bench.telethon(floods=True)))
    for name, done in bench.loading_peers().items():
        row(f"{_TITLES[name]}, from a file", str(done))


def measure(bench: Bench, server: Postgres, folder: Path) -> None:
    own = bench.whole(server.create("own"), floods=True)
    early, is_complete = bench.early_calls(), bench.is_complete("own")
    other = bench.telethon(floods=True)
    compare(f"{own.messages:,} messages, 8 accounts, floods", own, "Telethon + asyncpg", other, "1,000,000 a minute, 5 ×")
    row("  stored as the emulator holds them", "yes" if is_complete else "NO", wanted="yes")
    row("  calls before a wait was over", early, wanted="0")
    quick, other = bench.whole(server.create("own"), floods=False), bench.telethon(floods=False)
    compare("  without floods", quick, "Telethon + asyncpg", other)
    row("  processor time, tg-history and msg-store", f"{quick.microseconds:.1f} µs",
        f"Telethon + asyncpg {other.microseconds:.0f} µs", f"{other.microseconds / quick.microseconds:.1f} ×",
        "12 µs, 10 ×")  # fmt: skip
    row("  most memory of a tool", f"{max(own.megabytes, quick.megabytes):.1f} MB", f"{other.megabytes:.0f} MB", wanted="32 MB")
    row("tg-history alone, to a file", str(bench.record()))
    measure_loading(bench, server, folder)


def compare(what: str, own: Run, name: str, other: Run, wanted: str = "") -> None:
    row(what, f"{own.rate * 60:,.0f}/min", f"{name} {other.rate * 60:,.0f}/min", f"{own.rate / other.rate:.1f} ×", wanted)


def compare_memory(own: Run, name: str, other: Run) -> None:
    row("  most memory", f"{own.megabytes:.1f} MB", f"{name} {other.megabytes:.0f} MB", f"{other.megabytes / own.megabytes:.1f} ×",
        "32 MB")  # fmt: skip


def measure_loading(bench: Bench, server: Postgres, folder: Path) -> None:
    peers = bench.loading_peers()
    for form, wanted in (("text", "2,500,000"), ("zstd", "4,000,000"), ("jsonb", "1,200,000"), ("none", "")):
        before = server.processor_seconds()
        done = bench.load(server.create("own"), "--raw", form)
        spent = (server.processor_seconds() - before) / done.messages * 1e6
        # Packed messages are compared with those of the other programs, which do not pack.
        copied = "text" if form == "zstd" else form
        compare(f"msg-store load, from a file, --raw {form}", done, _TITLES[copied], peers[copied],
            f"{wanted} a minute, 1.5 ×" if wanted else "1.5 ×")  # fmt: skip
        compare("  against COPY and INSERT … ON CONFLICT", done, "asyncpg", peers["upsert"])
        compare("  against a row at a time", done, "SQLAlchemy", peers["rows"], "20 ×")
        row("  processor time, without and with the server", f"{done.microseconds:.1f} and {done.microseconds + spent:.1f} µs",
            f"asyncpg {peers[copied].microseconds:.1f} µs", f"{peers[copied].microseconds / done.microseconds:.1f} ×")  # fmt: skip
        compare_memory(done, "asyncpg", peers[copied])
    database = server.create("own")
    bench.load(database)
    rows = "SELECT sum(('x' || substr(md5(xmin::text || message_id), 1, 15))::bit(60)::bigint) FROM messages"
    server.sql("CHECKPOINT")
    versions, written = server.sql(rows, "own"), server.wal_bytes()
    again = bench.load(database)
    written = server.wal_bytes() - written
    row("the same again, nothing changed", f"{again.rate * 60:,.0f}/min")
    row("  log written", f"{written / again.messages:.1f} B/row", wanted="5 B/row")
    row("  rows keep their versions", "yes" if server.sql(rows, "own") == versions else "NO", wanted="yes")
    done = bench.load(str(folder / "archive.sqlite"))
    row("msg-store load, from a file, SQLite", f"{done.rate:,.0f}/s", wanted="100,000/s")
    row("  processor time", f"{done.microseconds:.1f} µs")
    row("  most memory", f"{done.megabytes:.1f} MB", wanted="32 MB")


_TITLES = {
    "text": "asyncpg COPY", "jsonb": "asyncpg COPY jsonb", "none": "asyncpg COPY, no JSON",
    "upsert": "asyncpg COPY and INSERT … ON CONFLICT", "rows": "SQLAlchemy, a row at a time",
}  # fmt: skip


def main() -> None:
    is_built = all((TOOLS / name).exists() for name in ("tg-history", "msg-store"))
    with scratch() as folder, emulated(ACCOUNTS) as emulator, postgres() as server:
        bench = Bench(folder, emulator, server)
        if sys.argv[1:] == ["peers"] or not is_built:
            measure_peers(bench)
        else:
            measure(bench, server, folder)


if __name__ == "__main__":
    main()
