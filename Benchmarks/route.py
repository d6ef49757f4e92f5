"""Measures ev-route: envelopes from a pipe to four outputs.

The peers are `cat | cat`, and `jq` with one of the four selections.
"""

from __future__ import annotations

import json
import random
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

from bench import MEGABYTE, QUICK, Measured, measure, medians, row, scratch, sized, tool, touch_memory
from results import at_least, at_most

EVENTS = sized(500_000, 250_000)
RUNS = sized(5, 3)
TYPES = ["events.telegram.raw", "commands.media.video_download", "events.media.progress", "commands.telegram.reply"]
PATTERNS = ["events.telegram.*", "commands.media.#", "events.media.progress", "commands.telegram.#"]
WORDS = "the quick brown fox jumps over a lazy dog while räksmörgås and 漢字 are served at noon".split()


def main() -> None:
    with scratch() as folder:
        events = folder / "events.ndjson"
        write_events(events, EVENTS)
        size = events.stat().st_size
        command, outputs = route(folder)
        own, cat = medians(RUNS, partial(piped, events, command, outputs), partial(piped, events, ["cat"], [folder / "copy"]))
        row(
            f"ev-route, {EVENTS:,} events of {size // EVENTS} bytes to 4 files", own.seconds, "s", at_most(1.2, times=True),
            peer=("cat | cat", cat.seconds), headline=True,
        )  # fmt: skip
        if QUICK:
            return
        row("  the same", size / own.seconds / MEGABYTE, "MB/s", peer=("cat | cat", size / cat.seconds / MEGABYTE))
        jq = measure(["jq", "-c", f'select(.type == "{TYPES[0]}")'], events, folder / "selection")
        row("  the same", own.seconds, "s", at_least(15, times=True), peer=("jq -c select, one type", jq.seconds))
        row("  peak memory", own.megabytes, "MB", at_most(32))


def route(folder: Path, *options: str) -> tuple[list[str], list[Path]]:
    """Returns a command of ev-route for these events, with a file for each type and for dead letters, and its outputs."""
    outputs = [folder / f"output-{number}" for number in range(len(PATTERNS))]
    command = [tool("ev-route"), *options, "--dead-letter", str(folder / "dead")]
    for pattern, output in zip(PATTERNS, outputs, strict=True):
        command += ["--output", f"{pattern}={output}"]
    return command, outputs


def piped(source: Path, command: list[str], outputs: list[Path], **more: Any) -> Measured:
    """Runs `cat SOURCE | command` and measures the command.

    If the command is `cat`, its standard output goes to the first output. Every run writes new files.
    """
    for output in outputs:
        output.unlink(missing_ok=True)
    touch_memory(source.parent, source.stat().st_size)
    with subprocess.Popen(["cat", str(source)], stdout=subprocess.PIPE) as cat:
        assert cat.stdout is not None
        measured = measure(command, Path(f"/proc/self/fd/{cat.stdout.fileno()}"), outputs[0] if command == ["cat"] else None, **more)
    return measured


def write_events(path: Path, count: int) -> None:
    """Writes events of the four types in a random order, each about as long as a message in a group, as their schemas describe."""
    chance = random.Random(1)
    with path.open("w") as file:
        for number in range(count):
            text = " ".join(chance.choices(WORDS, k=chance.randint(25, 45)))
            kind = chance.choice(TYPES)
            envelope = {
                "id": f"01930b7a-4f00-7abc-8def-{number:012x}", "type": kind, "version": 1,
                "correlation_id": f"01930b7a-4f00-7abc-9def-{number:012x}", "timestamp": "2026-11-21T12:00:00.000000Z",
                "payload": payload(kind, number, text),
                "meta": {"received_at": "2026-11-21T12:00:00.000001Z", "actor": {"id": 42, "name": "Ann"}, "role": "admin",
                         "origin": {"chat_id": -1001234567890, "message_id": number + 1, "chat_type": "supergroup"}},
            }  # fmt: skip
            file.write(json.dumps(envelope, separators=(",", ":"), ensure_ascii=False) + "\n")


def payload(kind: str, number: int, text: str) -> dict[str, Any]:
    if kind == "events.telegram.raw":
        return {"update_id": number, "message": {
            "message_id": number + 1, "date": 1_795_262_400, "text": text,
            "from": {"id": 42, "is_bot": False, "first_name": "Ann", "username": "ann", "language_code": "en"},
            "chat": {"id": -1001234567890, "type": "supergroup", "title": "A group"},
            "entities": [{"type": "url", "offset": 5, "length": 30}]}}  # fmt: skip
    if kind == "commands.media.video_download":
        return {"url": f"https://example.com/watch/{number}?title={text}&list={text}"}
    if kind == "events.media.progress":
        return {
            "kind": "video", "state": "downloading", "fraction": 0.5, "done_bytes": number, "total_bytes": 2 * number,
            "rate_bytes_per_second": 524_288, "title": f"{text} {text}",
        }  # fmt: skip
    return {"text": f"{text}\n\n{text}", "link_preview": False}


if __name__ == "__main__":
    main()
