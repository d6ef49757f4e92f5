"""Measures uploads and downloads of an account. The peer is Telethon with cryptg, at the same emulator."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from accounts import Emulator, Json, emulated
from bench import MEGABYTE, row, scratch, sized, tool
from results import at_least, at_most
from telethon_client import telethon_client

SIZE = sized(200_000_000, 50_000_000)
SMALL = 3_000_000
RUNS = sized(3, 1)


def main() -> None:
    with scratch() as folder, emulated() as emulator:
        small = folder / "small.bin"
        small.write_bytes(os.urandom(SMALL))
        own: list[Json] = []
        peer: list[Json] = []
        for number in range(RUNS):
            # Each run sends different content, because the emulator stores equal files only once.
            for results, run in ((own, ours), (peer, theirs)):
                source = folder / "source.bin"
                source.write_bytes(os.urandom(SIZE))
                results.append(run(folder, emulator, small, source, number))
        report(own, peer)


def report(own: list[Json], peer: list[Json]) -> None:
    for way, name, times, share in (("up", "upload", 1, ()), ("down", "download", 3, (at_most(0.4, times=True),))):
        mine, other = (SIZE / MEGABYTE / min(run[way]["seconds"] for run in runs) for runs in (own, peer))
        row(
            f"{name} as an account, {SIZE / MEGABYTE:.0f} MB", mine, "MB/s", at_least(times, times=True),
            peer=("Telethon, cryptg", other), headline=way == "down",
        )  # fmt: skip
        mine, other = (min(run[way]["cpu"] for run in runs) for runs in (own, peer))
        row("  processor time of the client", mine, "s", *share, peer=("Telethon, cryptg", other))
    mine, other = (min(run["up"]["cpu"] + run["down"]["cpu"] for run in runs) for runs in (own, peer))
    row("upload and download, processor time of the client", mine, "s", at_most(0.2, times=True), peer=("Telethon, cryptg", other))


def ours(folder: Path, emulator: Emulator, small: Path, source: Path, number: int) -> Json:
    environment = emulator.logged_in(folder / f"state-{number}")
    copy = folder / "copy.bin"
    command = [tool("transfer-check"), str(small), str(source), str(copy)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    check(source, copy)
    return dict(json.loads(done.stdout))


def theirs(folder: Path, emulator: Emulator, small: Path, source: Path, _: int) -> Json:
    return asyncio.run(telethon(folder, emulator, small, source))


async def telethon(folder: Path, emulator: Emulator, small: Path, source: Path) -> Json:
    copy = folder / "copy.bin"
    async with telethon_client(emulator) as client:
        message = await client.send_file("me", str(small), force_document=True)
        await client.download_media(message, str(copy))
        copy.unlink()
        up = Cost()
        message = await client.send_file("me", str(source), force_document=True)
        sent = up.measured()
        down = Cost()
        await client.download_media(message, str(copy))
        measured = {"up": sent, "down": down.measured()}
    check(source, copy)
    return measured


class Cost:
    def __init__(self) -> None:
        self._began, self._used = time.perf_counter(), time.process_time()

    def measured(self) -> Json:
        return {"seconds": time.perf_counter() - self._began, "cpu": time.process_time() - self._used}


def check(source: Path, copy: Path) -> None:
    if subprocess.run(["cmp", "-s", source, copy], check=False).returncode != 0:
        sys.exit("error: the downloaded file differs from the uploaded one")
    copy.unlink()


if __name__ == "__main__":
    main()
