"""Measures how much accounts that Telegram lets wait slow down the others: the others' calls a second, before and while they wait."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from typing import Any

from accounts import emulated
from bench import row, scratch, tool
from results import at_least, at_most

CHAT = -1_000_000_000_501
ACCOUNTS: list[dict[str, Any]] = [
    {"id": 60 + n, "phone": f"1555010006{n}", "first_name": f"Reader {n}", "username": f"flood_{n}"} for n in range(4)
]
WAITING, OTHERS = {60, 61}, {62, 63}
# The accounts call at this pace, so that neither they nor the emulator compete for the processor.
PACE, SECONDS = "50ms", 5


def main() -> None:
    with scratch() as folder, emulated(ACCOUNTS) as emulator:
        emulator.control("/seeded", {
            "accounts": [account["id"] for account in ACCOUNTS], "chat_id": CHAT, "chat_type": "channel",
            "count": 1_000_000, "seed": 3,
        })  # fmt: skip
        names = {account["username"]: account["id"] for account in ACCOUNTS}
        environment = emulator.logged_in(folder / "state", names)
        words = [word for name in names for word in ("--session", name)]
        history = subprocess.Popen(
            [tool("tg-history"), *words, "--pace", PACE], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=environment, text=True,
        )  # fmt: skip
        assert history.stdin is not None
        command = {"type": "commands.telegram.history", "correlation_id": str(uuid.uuid4()), "payload": {"chat_id": CHAT}}
        print(json.dumps(command), file=history.stdin, flush=True)
        time.sleep(2)
        free = calls(emulator)
        emulator.control("/floods", {
            "methods": ["messages.getHistory"], "every": 10, "shortest": 1, "longest": 2, "accounts": sorted(WAITING),
        })  # fmt: skip
        flooded = calls(emulator)
        told = emulator.control("/floods")
        history.terminate()
        history.wait()
    others = (sum(flooded[one] for one in OTHERS), sum(free[one] for one in OTHERS))
    row("calls of the other accounts while two wait, to those before", others[0] / others[1] * 100, "%", at_least(95))
    waiting = (sum(flooded[one] for one in WAITING), sum(free[one] for one in WAITING))
    row("  calls of the two that wait now and then", waiting[0] / waiting[1] * 100, "%")
    row(f"  calls before one of {told['refusals']:,} waits was over", told["early_calls"], "", at_most(0))


def calls(emulator: Any) -> dict[int, int]:
    """Counts the calls of each account during some seconds."""
    emulator.control("/log", method="DELETE")
    time.sleep(SECONDS)
    found = emulator.control("/log?method=messages.getHistory")["calls"]
    return {account["id"]: sum(call["account"] == account["id"] for call in found) for account in ACCOUNTS}


if __name__ == "__main__":
    main()
