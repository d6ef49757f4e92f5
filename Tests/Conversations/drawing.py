"""Draws chats as pages of HTML, so that a browser breaks lines and orders directions of writing as Telegram's apps do.

A browser without a window, if there is one, makes pictures of the pages.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from world import Broken, Shown, Snapshot, Toast

WIDTH = 480
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
TAGS = {"code": "code", "text_link": "a", "url": "a", "bold": "b", "italic": "i", "bot_command": "a", "hashtag": "a"}
STYLE = """
  body { margin: 0; }
  .chat { font: 14px/19px system-ui, 'Noto Sans', 'Noto Sans Arabic', 'DejaVu Sans', 'Noto Color Emoji', sans-serif;
          width: 480px; background: #dfe7ec; padding: 10px; box-sizing: border-box; display: flex; flex-direction: column; gap: 6px; }
  h1 { font-size: 14px; margin: 0 0 4px; color: #3b4a54; }
  hr { width: 100%; border: 0; border-top: 1px dashed #8a9aa5; margin: 8px 0; }
  .message { max-width: 82%; padding: 5px 10px; border-radius: 10px; background: #fff; align-self: flex-start; color: #1f2328; }
  .person { background: #e1f8cf; align-self: flex-end; }
  .deleted { opacity: 0.5; text-decoration: line-through; }
  .text { white-space: pre-wrap; unicode-bidi: plaintext; overflow-wrap: anywhere; text-align: start; }
  .who { font-size: 12px; color: #50708a; font-weight: 600; }
  .quote { border-inline-start: 3px solid #6aa3cf; padding-inline-start: 6px; color: #5b6b76; font-size: 12px; white-space: nowrap;
           overflow: hidden; text-overflow: ellipsis; }
  .media { background: #cfd9df; border-radius: 6px; padding: 8px; color: #33424c; margin: 2px 0; }
  .row { display: flex; gap: 4px; margin-top: 4px; } .row span { flex: 1; text-align: center; background: #bcd3e3; border-radius: 6px;
           padding: 4px; unicode-bidi: plaintext; }
  .toast { align-self: center; background: #33424c; color: #fff; border-radius: 8px; padding: 4px 12px; unicode-bidi: plaintext; }
  code { font-family: 'DejaVu Sans Mono', monospace; font-size: 12px; } a { color: #1c6fb0; }
"""


def draw(folder: Path, chats: Mapping[str, tuple[str, Sequence[Snapshot]]]) -> None:
    """Draws chats, each with its title and what it showed at several moments."""
    folder.mkdir(parents=True, exist_ok=True)
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    for name, (title, snapshots) in chats.items():
        page = folder / f"{name}.html"
        page.write_text(_page(title, snapshots))
        if browser:
            _photograph(browser, page)


def _photograph(browser: str, page: Path) -> None:
    """Makes a picture of a page, as high as the page."""

    def run(*arguments: str) -> str:
        command = [browser, "--headless", "--no-sandbox", *arguments, page.resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Broken(f"{browser} was unable to draw {page}:\n{done.stderr}")
        return done.stdout

    height = re.search(r'data-height="(\d+)"', run(f"--window-size={WIDTH},800", "--dump-dom"))
    if height is None:
        raise Broken(f"{browser} did not tell how high {page} is")
    run(f"--window-size={WIDTH},{height[1]}", f"--screenshot={page.with_suffix('.png').resolve()}", "--hide-scrollbars")


def _page(title: str, snapshots: Sequence[Snapshot]) -> str:
    """Returns a page with what a chat showed at several moments, which lines separate."""
    parts = [f"<h1>{escape(title)}</h1>"]
    for number, snapshot in enumerate(snapshots):
        if number:
            parts.append("<hr>")
        if len({snapshot.chat for snapshot in snapshots}) > 1:
            parts.append(f"<h1>{escape(snapshot.chat)}</h1>")
        known: dict[int | None, Shown] = {line.id: line for line in snapshot.lines if isinstance(line, Shown)}
        parts += [_toast(line) if isinstance(line, Toast) else _message(line, known) for line in snapshot.lines]
    return (
        f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>{escape(title)}</title>\n<style>{STYLE}</style></head>\n'
        f'<body><div class="chat">\n{chr(10).join(parts)}\n</div>\n'
        "<script>document.body.dataset.height = document.body.offsetHeight</script></body></html>\n"
    )


def _toast(toast: Toast) -> str:
    return f'<div class="toast"><b>[<bdi>{escape(toast.button)}</bdi>]</b> <bdi>{escape(toast.text)}</bdi></div>'


def _message(message: Shown, known: Mapping[int | None, Shown]) -> str:
    parts = [f'<div class="who">{escape(message.who)}</div>']
    if message.answers in known:
        answered = known[message.answers]
        parts.append(f'<div class="quote" dir="auto">{escape(answered.text or answered.media or "")}</div>')
    if message.media:
        parts.append(f'<div class="media">{escape(message.media)}</div>')
    if message.text:
        parts.append(f'<div class="text" dir="auto">{_marked(message)}</div>')
    for row in message.buttons:
        parts.append(f'<div class="row">{"".join(f"<span>{escape(button)}</span>" for button in row)}</div>')
    if message.reactions:
        parts.append(f"<div>{' '.join(message.reactions)}</div>")
    kinds = ["message", *(["person"] if not message.is_bot else []), *(["deleted"] if message.is_deleted else [])]
    return f'<div class="{" ".join(kinds)}">{"".join(parts)}</div>'


def _marked(message: Shown) -> str:
    """Returns the text with its links and its code marked. Telegram counts in units of UTF-16."""
    units = message.text.encode("utf-16-le")
    pieces, at = [], 0
    for entity in sorted(message.entities, key=lambda entity: int(entity["offset"])):
        tag = TAGS.get(entity["type"])
        begin, end = 2 * entity["offset"], 2 * (entity["offset"] + entity["length"])
        if tag is None or begin < at:
            continue
        pieces.append(escape(units[at:begin].decode("utf-16-le")))
        pieces.append(f"<{tag}>{escape(units[begin:end].decode('utf-16-le'))}</{tag}>")
        at = end
    return "".join(pieces) + escape(units[at:].decode("utf-16-le"))
