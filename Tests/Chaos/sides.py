"""Cuts a machine with the primary server off while programs on both sides of the network write, and counts what was lost."""

from __future__ import annotations

import argparse
import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from network import Machine, Network
from probe import number_of, numbered_event
from redis_servers import Sentinels, wait_until
from verdict import Verdict

# A write that is not confirmed after this time counts as failed.
WRITE_SECONDS = 12
SETTLE_SECONDS = 5


def run_sides(options: argparse.Namespace, folder: Path, network: Network) -> Verdict:
    """Does so with `replicas=1` in the address, where nothing that was confirmed may be lost, and without it, where something must be:
    otherwise the run would show nothing."""
    verdict = Verdict()
    work = folder / "work"
    work.mkdir()
    for is_confirmed in (True, False):
        places = [machine.place for name, machine in network.machines.items() if name != "data"]
        with Sentinels(folder / f"sides-{is_confirmed}", places) as redis:
            address = redis.address if is_confirmed else redis.address.removesuffix("?replicas=1")
            _Sides(options, work, network, redis, address).run(verdict, is_confirmed)
    return verdict


@dataclass
class _Writer:
    """Writes one event after the other on a machine, and notes those that were reported as done."""

    machine: Machine
    tools: Path
    work: Path
    address: str
    # The first number, and the distance to the next one.
    numbers: tuple[int, int]
    # When each number was reported as done (`time.monotonic`).
    done: dict[int, float] = field(default_factory=dict)
    failed: list[int] = field(default_factory=list)

    def start(self) -> None:
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        self._thread.join()

    def _write(self) -> None:
        number, step = self.numbers
        environment = os.environ | {"TGPIPE_REDIS": self.address, "TGPIPE_STATE": str(self.work / "state"), "TGPIPE_LOG": "error:json"}
        command = [*self.machine.command(self.work), "timeout", str(WRITE_SECONDS), str(self.tools / "ev-queue"), "push", "sides"]
        while not self._ending.is_set():
            run = subprocess.run(command, input=numbered_event(number), env=environment, capture_output=True, check=False)
            if run.returncode == 0:
                self.done[number] = time.monotonic()
            else:
                # It may be there, and it may not: the program was not told.
                self.failed.append(number)
            number += step
            time.sleep(0.02)


class _Sides:
    def __init__(self, options: argparse.Namespace, work: Path, network: Network, redis: Sentinels, address: str) -> None:
        self._options, self._redis = options, redis
        inner, outer = (machine for name, machine in network.machines.items() if name in ("front", "media-1"))
        # The primary server begins on the first machine.
        self._inner = _Writer(inner, options.tools, work, address, (0, 2))
        self._outer = _Writer(outer, options.tools, work, address, (1, 2))

    def run(self, verdict: Verdict, is_confirmed: bool) -> None:
        # The one sentinel that is cut off is not asked.
        former = self._redis.primary(seen_by=2)
        for writer in (self._inner, self._outer):
            writer.start()
        time.sleep(SETTLE_SECONDS)
        cut_at = time.monotonic()
        self._inner.machine.cut(self._options.cut_seconds)
        joined_at = time.monotonic()
        new = self._redis.primary(seen_by=2)
        time.sleep(SETTLE_SECONDS)
        for writer in (self._inner, self._outer):
            writer.end()
        wait_until("the former primary server follows no other", former.is_replicated)
        lines = new.cli("XRANGE", "tgpipe:{queues}:sides:stream", "-", "+").splitlines()
        there = {number_of(line.encode()) for line in lines if line.startswith("{")}
        title = f"with{'' if is_confirmed else 'out'} replicas=1"
        verdict.check(new.port != former.port, f"{title}: another server took the primary server's place while it was cut off")
        done = self._inner.done | self._outer.done
        apart = [number for number in self._inner.done if cut_at + 1 < self._inner.done[number] < joined_at]
        beside = [number for number in self._outer.done if cut_at + 1 < self._outer.done[number] < joined_at]
        lost = sorted(set(done) - there)
        told = f"{len(done)} writes reported as done, {len(lost)} of them lost {lost[:5] or ''}"
        if is_confirmed:
            verdict.check(not lost, f"{title}: {told}")
            verdict.check(not apart, f"{title}: {len(apart)} writes reported as done on the side that was cut off, {len(self._inner.failed)} failed")
        else:
            verdict.check(bool(lost), f"{title}: {told}, {len(apart)} done on the side that was cut off")
        verdict.check(len(beside) > 20, f"{title}: {len(beside)} writes done on the other side meanwhile")
        after = [number for number, at in self._inner.done.items() if at > joined_at]
        verdict.check(bool(after), f"{title}: {len(after)} writes done on the side that was cut off once it was back")
