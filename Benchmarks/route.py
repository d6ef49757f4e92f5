"""Measures ev-route: envelopes from a pipe to four outputs.

The peers are `cat | cat`, and `jq` with one of the four selections.
"""

from __future__ import annotations

import json
import random
import subprocess
from functools import partial
from pathlib import Path

from bench import MEGABYTE, Measured, measure, medians, row, scratch, tool, touch_memory

EVENTS = 500_000
RUNS = 5
TYPES = ["events.telegram.raw", "commands.media.video_download", "events.media.progress", "commands.telegram.reply"]
PATTERNS = ["events.telegram.*", "commands.media.#", "events.media.progress", "commands.telegram.#"]
WORDS = "the quick brown fox jumps over a lazy dog while räksmörgås and 漢字 are served at noon".split()


def main() -> None:
    with scratch() as folder:
        events = folder / "events.ndjson"
        write_events(events)
        size = events.stat().st_size
        outputs = [folder / f"output-{number}" for number in range(len(PATTERNS))]
        route = [tool("ev-route"), "--dead-letter", str(folder / "dead")]
        for pattern, output in zip(PATTERNS, outputs, strict=True):
            route += ["--output", f"{pattern}={output}"]
        own, cat, jq = medians(
            RUNS,
            partial(piped, events, route, outputs),
            partial(piped, events, ["cat"], [folder / "copy"]),
            partial(measure, ["jq", "-c", f'select(.type == "{TYPES[0]}")'], events, folder / "selection"),
        )
        row(
            f"ev-route, {EVENTS:,} events of {size // EVENTS} bytes to 4 files", f"{size / own.seconds / MEGABYTE:,.0f} MB/s",
            f"cat | cat {size / cat.seconds / MEGABYTE:,.0f} MB/s", f"{own.seconds / cat.seconds:.2f} ×", "at most 1.5 × the time",
        )  # fmt: skip
        row(
            "  the same", f"{own.seconds:.2f} s", f"jq -c select, one type {jq.seconds:.2f} s",
            f"{jq.seconds / own.seconds:.1f} ×", "at least 15 × faster",
        )  # fmt: skip
        row("  peak memory", f"{own.megabytes:.0f} MB", wanted="under 32 MB")


def piped(source: Path, command: list[str], outputs: list[Path]) -> Measured:
    """Runs `cat SOURCE | command` and measures the command.

    If the command is `cat`, its standard output goes to the first output. Every run writes new files.
    """
    for output in outputs:
        output.unlink(missing_ok=True)
    touch_memory(source.parent, source.stat().st_size)
    with subprocess.Popen(["cat", str(source)], stdout=subprocess.PIPE) as cat:
        assert cat.stdout is not None
        measured = measure(command, Path(f"/proc/self/fd/{cat.stdout.fileno()}"), outputs[0] if command == ["cat"] else None)
    return measured


def write_events(path: Path) -> None:
    chance = random.Random(1)
    with path.open("w") as file:
        for number in range(EVENTS):
            text = " ".join(chance.choices(WORDS, k=chance.randint(25, 45)))
            envelope = {
                "id": f"01930b7a-4f00-7abc-8def-{number:012x}", "type": chance.choice(TYPES), "version": 1,
                "correlation_id": f"01930b7a-4f00-7abc-9def-{number:012x}", "timestamp": "2026-11-21T12:00:00.000000Z",
                "payload": {"update_id": number, "message": {
                    "message_id": number, "date": 1_795_262_400, "text": text,
                    "from": {"id": 42, "is_bot": False, "first_name": "Ann", "username": "ann", "language_code": "en"},
                    "chat": {"id": -1001234567890, "type": "supergroup", "title": "A group"},
                    "entities": [{"type": "url", "offset": 5, "length": 30}]}},
                "meta": {"received_at": "2026-11-21T12:00:00.000001Z", "actor": {"id": 42, "name": "Ann"}, "role": "admin",
                         "origin": {"chat_id": -1001234567890, "message_id": number, "chat_type": "supergroup"}},
            }  # fmt: skip
            file.write(json.dumps(envelope, separators=(",", ":"), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
