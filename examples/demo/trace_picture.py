"""Draw the trace that docs/ev-log.md explains: trace_picture.py BIN [--check]

BIN is the folder of the tools. It stores the lines of one request, writes the picture of `ev-log trace --html` to docs/trace.svg,
and puts what `ev-log trace` prints into docs/ev-log.md. With --check, it changes nothing and fails if they are out of date.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE, PICTURE = ROOT / "docs" / "ev-log.md", ROOT / "docs" / "trace.svg"
REQUEST = "019a3c00-1111-7222-8333-444455556666"
UPDATE, COMMAND, FETCHED, READY = (
    "events.telegram.raw", "commands.media.video_download", "events.media.fetched", "events.dl.video.ready",
)  # fmt: skip


def line(milliseconds: float, tool: str, **fields: Any) -> str:
    second, rest = divmod(round(milliseconds * 1000), 1_000_000)
    common = {"time": f"2026-01-31T12:00:{second:02}.{rest:06}Z", "tool": tool, "correlation_id": REQUEST}
    return json.dumps(common | fields)


def span(
    milliseconds: float, tool: str, number: int, parent: int, event: tuple[int, str], operation: str, duration: float, **more: Any
) -> str:
    parent_id = {"parent_id": f"{parent:016x}"} if parent else {}
    return line(
        milliseconds, tool, span_id=f"{number:016x}", event_id=f"{REQUEST[:-12]}{event[0]:012x}", event_type=event[1],
        operation=operation, duration_ns=round(duration * 1e6), **({"outcome": "done"} | parent_id | more),
    )  # fmt: skip


def lines() -> list[str]:
    """Return the lines of a request that waits in a queue, fails, and succeeds at the second attempt."""
    return [
        span(0, "tg-listen", 1, 0, (1, UPDATE), "create", 1.2),
        span(1.3, "tg-gate", 2, 1, (1, UPDATE), "process", 0.9),
        span(2.4, "ratelimit", 3, 2, (2, COMMAND), "process", 0.4),
        span(3.1, "ratelimit", 4, 2, (2, COMMAND), "send", 0.3, queue="media"),
        span(2204, "media-fetch", 5, 2, (2, COMMAND), "receive", 0.2, queue="media"),
        span(2205, "media-fetch", 6, 2, (2, COMMAND), "process", 1200, outcome="failed", error="the server does not answer"),
        span(4430, "media-fetch", 7, 2, (2, COMMAND), "process", 3800, attempt=2),
        line(8020, "media-fetch", level="info", message="fetched", span_id=f"{7:016x}", bytes=12345678),
        span(8235, "blob-put", 8, 7, (3, FETCHED), "process", 310),
        span(8551, "tg-send", 9, 8, (4, READY), "process", 855),
        line(9401, "tg-send", level="info", message="sent", span_id=f"{9:016x}", chat_id=42, message_id=7),
    ]


def main() -> None:
    program = Path(sys.argv[1]).resolve() / "ev-log"
    with tempfile.TemporaryDirectory() as folder:
        environment = {"TGPIPE_LOG_STORE": f"{folder}/store", "HOME": folder, "PATH": os.environ["PATH"], "TZ": "UTC", "LANG": "C.UTF-8"}

        def run(*arguments: str, given: str = "") -> str:
            command = [str(program), *arguments]
            return subprocess.run(command, input=given, env=environment, check=True, text=True, stdout=subprocess.PIPE).stdout

        run("import", "--quiet", given="\n".join(lines()))
        text, html = run("trace", REQUEST), run("trace", REQUEST, "--html")
    # The rules for the drawing, without those for the page around it.
    rules = re.findall(r"^(?:svg\.spans text|\.span).*$", html, re.MULTILINE)
    drawing = re.search(r"<svg.*?</svg>", html, re.DOTALL)
    if len(rules) != 2 or drawing is None:
        sys.exit("error: 'ev-log trace --html' draws no picture")
    opening, _, rest = drawing[0].partition(">")
    style, ground = "<style>" + "\n".join(rules) + "</style>", '<rect width="100%" height="100%" fill="#fff"/>'
    picture = f'{opening} xmlns="http://www.w3.org/2000/svg">{style}{ground}{rest}\n'
    page = re.sub(r"(?<=\n```\n)request 0.*?(?=```\n)", lambda _: text, PAGE.read_text(), count=1, flags=re.DOTALL)
    if "--check" not in sys.argv:
        PAGE.write_text(page)
        PICTURE.write_text(picture)
    elif page != PAGE.read_text() or not PICTURE.exists() or picture != PICTURE.read_text():
        sys.exit("error: the trace in docs/ev-log.md is not what ev-log draws: run examples/demo/trace_picture.py BIN")


if __name__ == "__main__":
    main()
