"""Measures the latency of tg-gate, ratelimit and ev-route, and the time from a delivered update to its command."""

from __future__ import annotations

import json
import os
import select
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from bench import QUICK, TOOLS, row, running, tool
from chat import Person, Telegram
from results import at_most
from services import TOKEN, Services

EVENTS = 300
PAUSE_SECONDS = 0.005
ADMIN = Person(42, "Alice", "alice")


def main() -> None:
    with Services(TOOLS, admin_id=ADMIN.id) as services:
        services.start()
        environment = os.environ | services.environment() | {"TGPIPE_LOG": "error"}
        stages = f"{gated()} | {tool('ev-route')} -o 'commands.media.#=-'"
        own = through(stages, environment, raw_event)
        peer = through("cat | cat | cat", environment, raw_event)
        row(
            "latency of tg-gate | ratelimit | ev-route", own.median, "ms", at_most(0.4), peer=("cat | cat | cat", peer.median),
            headline=True,
        )  # fmt: skip
        row("  99th percentile", own.slow, "ms", peer=("cat | cat | cat", peer.slow))
        if QUICK:
            return
        listening = from_delivery(f"{tool('tg-listen')} --bot | {stages}", environment, services)
        row("from a delivered update to its routed command", listening.median, "ms", at_most(5))
        row("  99th percentile", listening.slow, "ms")


def gated() -> str:
    """Returns a pipeline that lets the admin's commands through: no limit holds for an admin."""
    return f"{tool('tg-gate')} | {tool('ratelimit')} -m 'commands.media.#' -n 5 -w 60s"


class Times:
    def __init__(self, seconds: list[float]) -> None:
        ordered = sorted(seconds)
        self.median = statistics.median(ordered) * 1000
        self.slow = ordered[len(ordered) * 99 // 100] * 1000


def through(pipeline: str, environment: dict[str, str], event: Callable[[int], bytes]) -> Times:
    """Writes events into a pipeline, one at a time, and measures the time until each comes out."""
    with running(["sh", "-c", pipeline], stdout=subprocess.PIPE, env=environment) as shell:
        assert shell.stdin is not None
        times = []
        for number in range(EVENTS):
            begun = time.perf_counter()
            shell.stdin.write(event(number))
            shell.stdin.flush()
            next_line(shell)
            times.append(time.perf_counter() - begun)
            time.sleep(PAUSE_SECONDS)
        # The first events include the time for making connections.
        return Times(times[10:])


def from_delivery(pipeline: str, environment: dict[str, str], services: Services) -> Times:
    """Measures from the emulator's delivery of an update to the arrival of its command at the end of the pipeline."""
    telegram = Telegram(services.telegram_url)
    came_out: dict[str, float] = {}
    with running(["sh", "-c", pipeline], stdout=subprocess.PIPE, env=environment, start_new_session=True) as shell:
        for number in range(EVENTS):
            telegram.say(ADMIN, f".vdl https://example.com/{number}")
            line = next_line(shell)
            came_out[json.loads(line)["payload"]["url"]] = time.time()
            time.sleep(PAUSE_SECONDS)
        # tg-listen has no input whose end could stop it.
        os.killpg(shell.pid, signal.SIGTERM)
    delivered = {d["update_id"]: d["at"] for d in telegram.deliveries()}
    first = min(delivered)
    pairs = [(came_out[f"https://example.com/{number}"], delivered[first + number]) for number in range(EVENTS)]
    return Times([out - at for out, at in pairs[10:]])


def next_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], 20)
    line = process.stdout.readline() if ready else b""
    if not line:
        sys.exit("error: an event did not come out of the pipeline")
    return line


def raw_event(number: int) -> bytes:
    user = {"id": ADMIN.id, "is_bot": False, "first_name": ADMIN.name, "username": ADMIN.username}
    text = f".vdl https://example.com/{number}"
    message = {
        "message_id": number + 1, "from": user, "chat": {"id": ADMIN.id, "first_name": ADMIN.name, "type": "private"},
        "date": 1795262400, "text": text, "entities": [{"type": "url", "offset": 5, "length": len(text) - 5}],
    }  # fmt: skip
    envelope = {
        "id": f"01930b7a-4f00-7abc-8def-{number:012x}", "type": "events.telegram.raw", "version": 1,
        "correlation_id": f"01930b7a-4f00-7abc-9def-{number:012x}", "timestamp": "2026-11-21T12:00:00.000000Z",
        "payload": {"update_id": number, "message": message},
        "meta": {"received_at": "2026-11-21T12:00:00.000000Z", "bot": {"id": int(TOKEN.split(":")[0]), "username": "test_bot"}},
    }  # fmt: skip
    return json.dumps(envelope).encode() + b"\n"


if __name__ == "__main__":
    main()
