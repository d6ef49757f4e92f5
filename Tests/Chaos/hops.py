"""Sends many events over three machines, and counts each of them once."""

from __future__ import annotations

import argparse
import os
import subprocess
import threading
import time
from pathlib import Path

from network import Network
from probe import PASS, number_of, numbered_event
from redis_servers import Node, Place
from verdict import Verdict

# Of each of both queues. What waits in them is all that Redis has to hold.
QUEUE_EVENTS = 50_000
TEXT = "x" * 280
SAMPLE_SECONDS = 1
# How much more Redis may hold in the last fifth of the run than in the first, in MB: what waits varies. Each of 10,000,000 events may
# leave two bytes behind, and no more.
MOST_GROWTH = 20


def run_hops(options: argparse.Namespace, folder: Path, network: Network) -> Verdict:
    """Pushes `options.events` events on one machine and moves them on on the two others; a reader beside Redis counts them.

    The run ends after `options.patience` seconds, whether all have come or not.
    """
    data = Place(network.address, network.machines["data"].place.command)
    server = Node(folder / "redis", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec", place=data)
    server.start()
    try:
        return _Hops(options, folder, network, server).run()
    finally:
        server.end()


class _Hops:
    def __init__(self, options: argparse.Namespace, folder: Path, network: Network, server: Node) -> None:
        self._options, self._folder, self._network, self._server = options, folder, network, server
        self._seen = bytearray(options.events)
        self._count = self._doubles = 0
        self._memory: list[int] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def run(self) -> Verdict:
        verdict, events = Verdict(), self._options.events
        names = list(self._network.machines)[1:]
        limit = ["--max-length", str(QUEUE_EVENTS)]
        started = time.monotonic()
        try:
            reader = self._start([], "ratelimit", *PASS, "--from", "queue:out", stdout=subprocess.PIPE)
            for name in names[1:]:
                self._start(self._command(name), "ratelimit", *PASS, "--from", "queue:in", "--to", "queue:out", *limit)
            # The ids of jobs would be remembered for a day.
            pusher = self._start(self._command(names[0]), "ev-queue", "push", "in", "--again", *limit, stdin=subprocess.PIPE)
            for work, process in ((self._push, pusher), (self._read, reader)):
                threading.Thread(target=work, args=(process,), daemon=True).start()
            while self._count < events and time.monotonic() - started < self._options.patience:
                self._sample(started)
                time.sleep(SAMPLE_SECONDS)
            seconds = time.monotonic() - started
            pushed = pusher.wait(60) if self._count >= events else None
            # What came twice would come now.
            unfinished = [queue for queue in ("in", "out") if self._start([], "ev-queue", "wait", queue, "--timeout", "60s").wait() != 0]
        finally:
            for process in self._processes:
                process.terminate()
            statuses = [process.wait(90) for process in self._processes]
        missing = events - sum(self._seen)
        print(f"{self._count:,} events over {len(names)} machines, two queues, in {seconds:.0f} s: {self._count / seconds:,.0f} events/s")
        verdict.check(not unfinished, f"all queues are empty at the end {unfinished or ''}")
        verdict.check(pushed == 0, f"ev-queue push ended with status {pushed}")
        verdict.check(missing == 0 and self._doubles == 0, f"{events:,} events, {missing:,} missing, {self._doubles:,} twice")
        fifth = max(1, len(self._memory) // 5)
        first, last = max(self._memory[:fifth]) / 1e6, max(self._memory[-fifth:]) / 1e6
        verdict.check(last <= first + MOST_GROWTH, f"Redis holds {first:.1f} MB in the first fifth, and {last:.1f} MB in the last")
        verdict.check(not any(statuses[:3]), f"asked to, all workers end {statuses}")
        return verdict

    def _command(self, name: str) -> list[str]:
        work = self._folder / "work"
        work.mkdir(exist_ok=True)
        return self._network.machines[name].command(work)

    def _start(self, before: list[str], tool: str, *arguments: str, **streams: int) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "TGPIPE_REDIS": f"redis://{self._server.address}", "TGPIPE_STATE": str(self._folder / "work" / "state"), "TGPIPE_LOG": "info:json",
        }  # fmt: skip
        log = (self._folder / "hops.log").open("ab")
        process = subprocess.Popen(
            [*before, str(self._options.tools / tool), *arguments], stderr=log, env=environment,
            stdin=streams.get("stdin", subprocess.DEVNULL), stdout=streams.get("stdout", subprocess.DEVNULL),
        )  # fmt: skip
        self._processes.append(process)
        return process

    def _push(self, pusher: subprocess.Popen[bytes]) -> None:
        assert pusher.stdin is not None
        try:
            with pusher.stdin as pipe:
                for number in range(self._options.events):
                    pipe.write(numbered_event(number, TEXT))
        except BrokenPipeError:
            # The run ends, or the status of the program says why it ended.
            return

    def _read(self, reader: subprocess.Popen[bytes]) -> None:
        assert reader.stdout is not None
        for line in reader.stdout:
            number = number_of(line)
            if self._seen[number]:
                self._doubles += 1
            else:
                self._seen[number] = 1
                self._count += 1

    def _sample(self, started: float) -> None:
        facts = dict(line.split(":", 1) for line in self._server.cli("INFO", "memory").split() if ":" in line)
        self._memory.append(int(facts["used_memory"]))
        if len(self._memory) % 60 == 0:
            print(f"{time.monotonic() - started:6.0f} s  {self._count:,} events, Redis holds {self._memory[-1] / 1e6:.1f} MB", flush=True)
