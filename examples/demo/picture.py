"""Draw a chat of the demo and its pipeline as a picture: make demo | python3 examples/demo/picture.py > docs/demo.svg

The chat is the one that the demo printed, with its times. The commands are those of examples/media-bot.sh.
"""

from __future__ import annotations

import re
import sys
from html import escape

COMMANDS = """\
$ mkfifo media.fifo send.fifo
$ tg-listen --bot | tg-gate |
    ratelimit -m 'commands.media.#' -n 5 -w 60s |
    ev-route -o 'commands.media.#=media.fifo' \\
             -o 'commands.telegram.#=send.fifo' &
$ media-fetch < media.fifo | blob-put > send.fifo &
$ tg-send < send.fifo""".splitlines()

WIDTH, LINE, PADDING = 980, 20, 12
TERMINAL = 470
LIMIT = 48
"""The most characters of a line in a bubble."""


def bubbles(text: str) -> list[tuple[str, bool, list[str]]]:
    """Return the messages of the first requests: when, whether the bot wrote it, and its lines."""
    found: list[tuple[str, bool, list[str]]] = []
    requests = 0
    for line in text.splitlines():
        asked = re.match(r"^(Alice|Bob): (.*)", line)
        answer = re.match(r"^ +(\+\d+\.\d+ s)  (.*)", line)
        if asked:
            requests += 1
            if requests > 2 or asked.group(1) != "Alice":
                break
            found.append(("", False, [asked.group(2)]))
        elif answer:
            when, what = answer.groups()
            if "(removed)" not in what:
                found.append((when, True, [what.replace("(now) ", "")]))
        elif found and line.startswith(" " * 12) and found[-1][1] and line.strip():
            found[-1][2].append(line.strip())
    return found


def folded(text: str) -> list[str]:
    """Return a text in lines that fit a bubble. The addresses of the demo are those of this machine."""
    text = re.sub(r"http://127\.0\.0\.1:\d+/page/slow/\d+", "https://example.com", text)
    text = re.sub(r"\?title=[^&\s]*&?", "?", text).rstrip("?").replace("%20", " ")
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= LIMIT:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return [line if len(line) <= LIMIT else line[: LIMIT - 1] + "…" for line in lines]


def words(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x}" y="{y}" class="{kind}" xml:space="preserve">{escape(text)}</text>'


def main() -> None:
    chat = bubbles(sys.stdin.read())
    if not any(isbot for _, isbot, _ in chat):
        sys.exit("standard input has no chat of the demo: run make demo | python3 examples/demo/picture.py > docs/demo.svg")
    parts: list[str] = []
    y = 46.0
    for when, is_bot, lines in chat:
        shown = [part for line in lines for part in folded(line)]
        width = max(len(line) for line in shown) * 7.9 + 2 * PADDING
        height = len(shown) * LINE + 12
        x = TERMINAL + 20 if is_bot else WIDTH - 20 - width
        parts.append(f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height}" rx="10" class="{"bot" if is_bot else "user"}"/>')
        for number, line in enumerate(shown):
            parts.append(words(x + PADDING, y + 20 + number * LINE, line, "said"))
        if when:
            parts.append(words(x + width + 8, y + 20, when, "when"))
        y += height + 8
    bottom = max(y, 46 + len(COMMANDS) * 22) + 12
    screen = [words(24, 62 + number * 22, line, "code") for number, line in enumerate(COMMANDS)]
    style = """
    text { font: 13px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; }
    .title { font: 600 12px system-ui, 'DejaVu Sans', sans-serif; fill: #8b949e; }
    .code { fill: #c9d1d9; } .said { fill: #1f2328; } .when { fill: #57606a; font-size: 11px; }
    .bot { fill: #ffffff; stroke: #d0d7de; } .user { fill: #dcf8c6; stroke: #b7dfa0; }"""
    print(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom:.0f}" role="img">\n'
        "<title>The pipeline of the media bot in a terminal, and a chat with it</title>\n"
        f"<style>{style}\n</style>\n"
        f'<rect width="{WIDTH}" height="{bottom:.0f}" rx="10" fill="#eaeef2"/>\n'
        f'<rect width="{TERMINAL}" height="{bottom:.0f}" rx="10" fill="#0d1117"/>\n'
        + words(24, 30, "Terminal", "title") + "\n" + words(TERMINAL + 20, 30, "Chat with the bot, and the time since each request", "title") + "\n"
        + "\n".join(screen + parts)
        + "\n</svg>"
    )  # fmt: skip


if __name__ == "__main__":
    main()
