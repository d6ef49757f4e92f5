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

from accounts import Emulator, emulated
from bench import TOOLS, row, scratch, tool
from postgres import Postgres, postgres
from results import Goal, at_least, at_most

MESSAGES = int(os.environ.get("TGPIPE_BENCH_MESSAGES", "200000"))
PEER_MESSAGES = min(int(os.environ.get("TGPIPE_BENCH_PEER_MESSAGES", "20000")), MESSAGES)
FLOODED_PEER_MESSAGES = min(200_000, MESSAGES)
CHAT, NAME = -1_000_000_000_500, "bench_history"
ACCOUNTS: list[dict[str, Any]] = [
    {"id": 50 + n, "phone": f"1555010005{n}", "first_name": f"Reader {n}", "username": f"reader_{n}"} for n in range(8)
]
# Each account is refused now and then, and has to wait a second or two.
FLOODS = {"methods": ["messages.getHistory"], "share": 0.01, "shortest": 1, "longest": 2, "seed": 1}
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

    def floods(self) -> Json:
        return self._emulator.control("/floods")

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
    tell("Telethon + asyncpg, 8 sessions, a page at a time", bench.telethon(floods=False))
    tell("Telethon + asyncpg, with floods", bench.telethon(floods=True))
    for name, done in bench.loading_peers().items():
        tell(f"{_TITLES[name]}, from a file", done)


def tell(what: str, done: Run) -> None:
    row(what, done.rate * 60, "messages/min")
    row("  processor time for a message", done.microseconds, "µs")


def measure(bench: Bench, server: Postgres, folder: Path) -> None:
    # The emulator makes each page at its first request; all programs that are compared read kept pages.
    tell("tg-history alone, to a file", bench.record())
    own = bench.whole(server.create("own"), floods=True)
    told, is_complete = bench.floods(), bench.is_complete("own")
    other, name = bench.telethon(floods=True), "Telethon + asyncpg"
    compare(
        f"{own.messages:,} messages, 8 accounts, floods", own, name, other, at_least(1_000_000), at_least(5, times=True)
    )
    row("  stored as the emulator holds them", is_complete)
    row(f"  calls before one of {told['refusals']:,} waits was over", told["early_calls"], "", at_most(0))
    quick, other = bench.whole(server.create("own"), floods=False), bench.telethon(floods=False)
    compare("  without floods", quick, name, other)
    row(
        "  processor time of tg-history and msg-store for a message", quick.microseconds, "µs", at_most(12), at_least(10, times=True),
        peer=(name, other.microseconds),
    )  # fmt: skip
    row("  most memory of a tool", max(own.megabytes, quick.megabytes), "MB", at_most(32), peer=(name, other.megabytes))
    measure_loading(bench, server, folder)


def compare(what: str, own: Run, name: str, other: Run, *goals: Goal) -> None:
    row(what, own.rate * 60, "messages/min", *goals, peer=(name, other.rate * 60))


def measure_loading(bench: Bench, server: Postgres, folder: Path) -> None:
    peers = bench.loading_peers()
    for form, wanted in (("text", 2_500_000), ("zstd", 4_000_000), ("jsonb", 1_200_000), ("none", 0)):
        before = server.processor_seconds()
        done = bench.load(server.create("own"), "--raw", form)
        spent = (server.processor_seconds() - before) / done.messages * 1e6
        # Packed messages are compared with those of the other programs, which do not pack.
        copied = "text" if form == "zstd" else form
        goals = [at_least(wanted)] if wanted else []
        compare(
            f"msg-store load, from a file, --raw {form}", done, _TITLES[copied], peers[copied], *goals, at_least(1.5, times=True)
        )
        compare("  against COPY and INSERT … ON CONFLICT", done, "asyncpg", peers["upsert"])
        compare("  against a row at a time", done, "SQLAlchemy", peers["rows"], at_least(20, times=True))
        row("  processor time for a message", done.microseconds, "µs", peer=("asyncpg", peers[copied].microseconds))
        row("  processor time for a message, with the server", done.microseconds + spent, "µs")
        row("  most memory", done.megabytes, "MB", at_most(32), peer=("asyncpg", peers[copied].megabytes))
    database = server.create("own")
    bench.load(database)
    rows = "SELECT sum(('x' || substr(md5(xmin::text || message_id), 1, 15))::bit(60)::bigint) FROM messages"
    server.sql("CHECKPOINT")
    versions, written = server.sql(rows, "own"), server.wal_bytes()
    again = bench.load(database)
    written = server.wal_bytes() - written
    row("msg-store load of stored messages, nothing changed", again.rate * 60, "messages/min")
    row("  bytes of log for a message", written / again.messages, "bytes", at_most(5))
    row("  rows keep their versions", server.sql(rows, "own") == versions)
    done = bench.load(str(folder / "archive.sqlite"))
    row("msg-store load, from a file, SQLite", done.rate, "messages/s", at_least(100_000))
    row("  processor time for a message", done.microseconds, "µs")
    row("  most memory", done.megabytes, "MB", at_most(32))


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
