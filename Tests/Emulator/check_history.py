"""Telethon reads a whole long history, and must get what the emulator says that it holds: check_history.py [COUNT]

This takes about a minute for 1,000,000 messages, too long for the tests.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import time
import urllib.request
from pathlib import Path

from mtclients import CHANNEL, Telegram, telethon_as
from test_history import line


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in status if row.startswith("VmHWM")) / 1024


async def check(telegram: Telegram, count: int) -> bool:
    order = {"accounts": [42], "chat_id": CHANNEL, "chat_type": "supergroup", "count": count, "seed": 3, "holes": 0.05}
    made = telegram.mtproto("seeded", order)
    print(f"made {count:,} ids in {made['seconds']} s, {megabytes(telegram.process.pid):.0f} MB", flush=True)
    hashed, found, last = hashlib.sha256(), 0, 0
    async with telethon_as(telegram) as client:
        await client.get_dialogs()
        before, begun = processor_seconds(telegram.process.pid), time.monotonic()
        # The oldest first, which is the order of the oracle's lines.
        async for message in client.iter_messages(CHANNEL, wait_time=0, reverse=True):
            if message.id <= last:
                print(f"message {message.id} came after {last}")
                return False
            hashed.update(line(message).encode())
            found, last = found + 1, message.id
            if found % 100_000 == 0:
                print(f"read {found:,}, {found / (time.monotonic() - begun):,.0f} messages/s", flush=True)
        spent = processor_seconds(telegram.process.pid) - before
    print(f"the emulator took {spent / max(found, 1) * 1e5:.2f} ms a page, {megabytes(telegram.process.pid):.0f} MB at most")
    expected = telegram.mtproto(f"seeded/{CHANNEL}/ids", method="GET")["ranges"]
    if found != sum(high - low + 1 for low, high in expected):
        print(f"{found:,} messages were read, but {made['alive']:,} exist")
        return False
    step = max(count // 100, 1)
    parts = hashlib.sha256()
    for low in range(1, count + 1, step):
        url = f"{telegram.url}/control/mtproto/seeded/{CHANNEL}/rows?from={low}&to={min(low + step - 1, count)}"
        with urllib.request.urlopen(url) as answer:
            parts.update(answer.read())
    return parts.digest() == hashed.digest()


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    telegram = Telegram()
    try:
        is_same = asyncio.run(check(telegram, count))
    finally:
        telegram.stop()
    print("the same" if is_same else "DIFFERENT")
    return 0 if is_same else 1


if __name__ == "__main__":
    sys.exit(main())
