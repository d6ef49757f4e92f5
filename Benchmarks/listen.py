"""Measures tg-listen as an account: from updates of a supergroup to envelopes, beside a handler of Telethon that writes a line for each.

The emulator encodes all updates beforehand, so that it only encrypts and sends while they are received. Each is a message of its own, as most
of Telegram's are, in containers of up to 100.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accounts import Emulator, emulated
from bench import redis, row, running, scratch, sized, tool
from chat import wait_until
from results import at_least, at_most
from telethon import events
from telethon_client import telethon_client

# A client drops updates of which too many wait, and asks for them again: so they come in waves, each after the end of the one before.
WAVE = 4_000
WAVES, PEER_WAVES = sized(10, 4), sized(4, 1)
PEOPLE = 100
ACCOUNTS = [{"id": 42, "phone": "15550100042", "first_name": "Alice"}, {"id": 43, "phone": "15550100043", "first_name": "Bob"}]
CHATS = {42: -1_000_000_000_601, 43: -1_000_000_000_602}
TEXT = "message {n}: the quick brown fox jumps over a lazy dog, see https://example.com/{n}"
PATIENCE_SECONDS = 120
SETTLE_SECONDS = 1


def main() -> None:
    with scratch() as folder, redis(folder) as socket, emulated(ACCOUNTS) as emulator:
        environment = emulator.logged_in(folder / "state", {"alice": 42}) | {"TGPIPE_REDIS": f"unix:{socket}"}
        own = ours(emulator, environment)
        peer = asyncio.run(theirs(emulator))
        name = "a handler of Telethon"
        row(
            f"tg-listen as an account, {WAVES * WAVE:,} updates", own.rate, "updates/s", at_least(50_000), at_least(20, times=True),
            peer=(name, peer.rate), headline=True,
        )  # fmt: skip
        row("  processor time for an update", own.microseconds, "µs", peer=(name, peer.microseconds))
        row("  processor time of the emulator for an update", own.emulator_microseconds, "µs")
        row("  requests for updates that did not arrive in time", own.missed, "", at_most(0))


class Run:
    """Adds up the waves of updates that a client, a process, receives."""

    def __init__(self, emulator: Emulator, pid: int) -> None:
        self._emulator, self._pid = emulator, pid
        self._updates, self._seconds, self._used, self._spent = 0, 0.0, 0.0, 0.0
        self.missed = 0
        """How often the client asked for updates that it had not received in time."""

    @contextmanager
    def wave(self) -> Iterator[None]:
        begun, used, spent = time.perf_counter(), processor_seconds(self._pid), processor_seconds(self._emulator.pid)
        yield
        self._updates += WAVE
        self._seconds += time.perf_counter() - begun
        self._used += processor_seconds(self._pid) - used
        self._spent += processor_seconds(self._emulator.pid) - spent

    @property
    def rate(self) -> float:
        return self._updates / self._seconds

    @property
    def microseconds(self) -> float:
        """The processor time of the client for an update."""
        return self._used / self._updates * 1e6

    @property
    def emulator_microseconds(self) -> float:
        return self._spent / self._updates * 1e6


def ours(emulator: Emulator, environment: dict[str, str]) -> Run:
    write(emulator, 42, 1)
    with running([tool("tg-listen"), "--session", "alice"], stdout=subprocess.PIPE, env=environment) as listener:
        assert listener.stdout is not None
        lines, run = Lines(listener.stdout.fileno()), Run(emulator, listener.pid)
        if not wait_until(lambda: lines.count > 0, PATIENCE_SECONDS, meanwhile=lambda: write(emulator, 42, 1)):
            sys.exit("error: tg-listen does not listen")
        time.sleep(SETTLE_SECONDS)
        emulator.control("/log", method="DELETE")
        for _ in range(WAVES):
            wanted = lines.count + WAVE
            prepare(emulator, 42, WAVE)
            with run.wave():
                releasing(emulator, 42)
                lines.wait(wanted)
    run.missed = len(emulator.control("/log?method=updates.getChannelDifference")["calls"])
    return run


async def theirs(emulator: Emulator) -> Run:
    client, run, count, done = telethon_client(emulator, 43), Run(emulator, os.getpid()), 0, asyncio.Event()
    with open(os.devnull, "w") as sink:

        async def heard(event: Any) -> None:
            nonlocal count
            message = event.message
            line = {"chat_id": event.chat_id, "message_id": message.id, "from": event.sender_id, "date": message.date.timestamp()}
            sink.write(json.dumps(line | {"text": message.message}) + "\n")
            count += 1
            if count % WAVE == 0:
                done.set()

        write(emulator, 43, 1)
        async with client:
            await client.get_dialogs()
            client.add_event_handler(heard, events.NewMessage)
            for _ in range(PEER_WAVES):
                done.clear()
                await asyncio.to_thread(prepare, emulator, 43, WAVE)
                with run.wave():
                    releasing(emulator, 43)
                    await asyncio.wait_for(done.wait(), PATIENCE_SECONDS)
    return run


def prepare(emulator: Emulator, account: int, count: int) -> None:
    """Lets people write messages, of which the account learns with the next release."""
    emulator.control("/hold", {"account": account})
    write(emulator, account, count)


def write(emulator: Emulator, account: int, count: int) -> None:
    for number in range(PEOPLE):
        share = count // PEOPLE + (number < count % PEOPLE)
        person = {"id": 7000 + number, "first_name": f"Person {number}", "username": f"person_{number}"}
        if share:
            emulator.request("burst", {
                "account": account, "chat_id": CHATS[account], "chat_type": "supergroup", "from": person, "text": TEXT, "count": share,
            })  # fmt: skip


def releasing(emulator: Emulator, account: int) -> None:
    """Asks for the release, without waiting for its end."""
    threading.Thread(target=emulator.control, args=("/release", {"account": account})).start()


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Lines:
    """Counts the lines that come out of a pipe."""

    def __init__(self, pipe: int) -> None:
        self._pipe, self.count = pipe, 0
        self._changed = threading.Condition()
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while piece := os.read(self._pipe, 1 << 20):
            with self._changed:
                self.count += piece.count(b"\n")
                self._changed.notify()

    def wait(self, count: int) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self.count >= count, PATIENCE_SECONDS):
                sys.exit(f"error: {self.count:,} of {count:,} updates came within {PATIENCE_SECONDS} s")


if __name__ == "__main__":
    main()
