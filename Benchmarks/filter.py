"""Measures ev-route with a middleware for all events: how much longer than without one.

The peer of the middleware `schema` is the package jsonschema for Python, which checks the payloads of some of the events.
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path

from bench import ROOT, Measured, medians, redis, row, scratch
from results import at_most
from route import piped, route, write_events

sys.path.insert(0, str(ROOT / "Tests" / "schemas"))

from validate import Schemas  # noqa: E402

EVENTS = 200_000
PEER_EVENTS = 2_000
RUNS = 3
MIDDLEWARES = {
    "count": 'before = ["count"]',
    "schema": 'before = ["schema"]',
    "ratelimit": 'before = [{ use = "ratelimit", limit = 1000000000, key = "user", exempt_roles = ["graced"] }]',
}


def main() -> None:
    with scratch() as folder, redis(folder) as socket:
        events = folder / "events.ndjson"
        write_events(events, EVENTS)
        # The counts are not logged, only kept: at the level warning, they would cost no less.
        environment = os.environ | {
            "TGPIPE_REDIS": f"unix:{socket}", "TGPIPE_STATE": str(folder / "state"), "TGPIPE_SCHEMAS": str(ROOT / "schemas"), "TGPIPE_LOG": "warning",
        }  # fmt: skip
        commands = [route(folder)]
        for name, lines in MIDDLEWARES.items():
            config = folder / f"{name}.toml"
            config.write_text(lines + "\n")
            commands.append(route(folder, "--config", str(config)))
        bare, *filtered = medians(RUNS, *(partial(run, folder, events, *command, environment) for command in commands))
        for name, measured in zip(MIDDLEWARES, filtered, strict=True):
            goals = [at_most(3, times=True)] if name == "count" else []
            row(
                f"ev-route with the middleware {name}, {EVENTS:,} events", measured.seconds, "s", *goals,
                peer=("without", bare.seconds),
            )  # fmt: skip
            row("  the same", EVENTS / measured.seconds, "events/s", peer=peer(events) if name == "schema" else None)
            row("  peak memory", measured.megabytes, "MB")


def run(folder: Path, events: Path, command: list[str], outputs: list[Path], environment: dict[str, str]) -> Measured:
    measured = piped(events, command, outputs, env=environment)
    if sum(output.stat().st_size for output in outputs) < events.stat().st_size or (folder / "dead").stat().st_size:
        sys.exit("error: ev-route did not forward all events")
    return measured


def peer(events: Path) -> tuple[str, float]:
    """Returns the peer's name, and how many events a second it parses and checks."""
    schemas = Schemas()
    begun = time.perf_counter()
    with events.open("rb") as lines:
        for line, _ in zip(lines, range(PEER_EVENTS), strict=False):
            reason = schemas.fault(line)
            if reason is not None:
                sys.exit(f"error: an event does not match its schema: {reason}")
    return "jsonschema for Python", PEER_EVENTS / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
