"""Compares media-fetch with curl: a file of 500 MB from a server on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench import (
    MEGABYTE, ROOT, Measured, measure, medians, padded_clip, read_line, redis, row, running, scratch, sized, tool, touch_memory,
)  # fmt: skip
from results import at_least, at_most

SIZE = sized(500_000_000, 200_000_000)
RUNS = sized(3, 1)
# media-fetch also hashes the file and inspects it, so one peer does the same.
AS_MUCH = 'openssl dgst -sha256 "$1" && ffprobe -v error "$1"'


def main() -> None:
    with scratch() as folder, redis(folder) as socket:
        www = folder / "www"
        www.mkdir()
        padded_clip(www / "clip.mp4", SIZE)
        server = [sys.executable, "-B", str(ROOT / "Tests/Emulator/site.py"), "--root", str(www)]
        with running(server, stdout=subprocess.PIPE) as site:
            url = f"{read_line(site)}/clip.mp4"
            own, peer, whole = medians(
                RUNS, lambda: fetch(folder, socket, url), lambda: curl(folder, url), lambda: curl(folder, url, AS_MUCH)
            )
        mine, other, same = [SIZE / MEGABYTE / measured.seconds for measured in (own, peer, whole)]
        row(f"media-fetch, {SIZE / MEGABYTE:.0f} MB", mine, "MB/s", at_least(0.95, times=True), peer=("curl", other), headline=True)
        row("  compared with equal work", mine, "MB/s", peer=("curl, sha256, ffprobe", same))
        row("  peak memory", own.megabytes, "MB", at_most(40))


def fetch(folder: Path, socket: Path, url: str) -> Measured:
    """Sends one command to media-fetch and reads the resulting event. Redis is empty, so the file must be fetched."""
    state = folder / "state"
    command = folder / "command.ndjson"
    envelope = {
        "type": "commands.media.video_download", "correlation_id": "01930b7a-4f00-7abc-8def-0123456789ab",
        "payload": {"url": url},
    }  # fmt: skip
    command.write_text(json.dumps(envelope) + "\n")
    subprocess.run(["redis-cli", "-s", str(socket), "flushall"], stdout=subprocess.DEVNULL, check=True)
    environment = os.environ | {
        "TGPIPE_STATE": str(state), "TGPIPE_STORE": f"file:{folder / 'store'}", "TGPIPE_REDIS": f"unix:{socket}",
        "TGPIPE_LOG": "warning",
    }  # fmt: skip
    output = folder / "events.ndjson"
    touch_memory(folder, SIZE)
    measured = measure([tool("media-fetch"), "--allow-private"], command, output, env=environment)
    events = [json.loads(line) for line in output.read_text().splitlines()]
    last: dict[str, Any] = events[-1] if events else {"type": "nothing"}
    if last["type"] != "events.media.fetched" or last["payload"]["size_bytes"] != SIZE:
        sys.exit(f"error: media-fetch did not fetch the file: {last}")
    Path(last["payload"]["path"]).unlink()
    return measured


def curl(folder: Path, url: str, afterwards: str = "true") -> Measured:
    file = folder / "curl.mp4"
    script = f'curl -sSf -o "$1" "$2" && {afterwards}'
    touch_memory(folder, SIZE)
    measured = measure(["sh", "-c", script, "sh", str(file), url])
    file.unlink()
    return measured


if __name__ == "__main__":
    main()
