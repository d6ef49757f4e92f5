"""Draws chats as SVG pictures. The text is HTML, so that a browser breaks lines and orders directions of writing as Telegram's apps do."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from transcripts import steady
from world import Shown, Toast

WIDTH, LINE, LETTERS = 480, 19, 42
STYLE = """
  .chat { font: 14px/19px system-ui, 'Noto Sans', 'Noto Sans Arabic', 'DejaVu Sans', 'Noto Color Emoji', sans-serif;
          background: #dfe7ec; padding: 10px; box-sizing: border-box; display: flex; flex-direction: column; gap: 6px; }
  h1 { font-size: 14px; margin: 0 0 4px; color: #3b4a54; }
  hr { width: 100%; border: 0; border-top: 1px dashed #8a9aa5; margin: 8px 0; }
  .message { max-width: 82%; padding: 5px 10px; border-radius: 10px; background: #fff; align-self: flex-start; color: #1f2328; }
  .person { background: #e1f8cf; align-self: flex-end; }
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


def picture(title: str, snapshots: Iterable[list[Shown | Toast]]) -> str:
    """Returns a picture of what a chat showed at several moments, which lines separate."""
    parts, height = [f"<h1>{escape(title)}</h1>"], 50
    for number, snapshot in enumerate(snapshots):
        if number:
            parts.append("<hr/>")
            height += 23
        known = {line.id: line for line in snapshot if isinstance(line, Shown)}
        for line in snapshot:
            drawn, lines = (_toast(line), 2) if isinstance(line, Toast) else _message(line, known)
            parts.append(drawn)
            height += lines * LINE + 18
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">\n'
        f"<title>{escape(title)}</title>\n"
        f'<foreignObject width="{WIDTH}" height="{height}"><div xmlns="http://www.w3.org/1999/xhtml" class="chat" '
        f'style="height: {height}px">\n<style>{STYLE}</style>\n' + "\n".join(parts) + "\n</div></foreignObject></svg>\n"
    )


def _toast(toast: Toast) -> str:
    return f'<div class="toast"><b>[{escape(toast.button)}]</b> {escape(toast.text)}</div>'


def _message(message: Shown, known: dict[int, Shown]) -> tuple[str, int]:
    parts, lines = [f'<div class="who">{escape(message.who)}</div>'], 1
    if message.answers in known:
        answered = known[message.answers]
        parts.append(f'<div class="quote" dir="auto">{escape(steady(answered.text or answered.media or ""))}</div>')
        lines += 1
    if message.media:
        parts.append(f'<div class="media">{escape(steady(message.media))}</div>')
        lines += 3
    if message.text:
        parts.append(f'<div class="text" dir="auto">{_marked(message)}</div>')
        lines += sum(1 + len(line) // LETTERS for line in message.text.split("\n"))
    for row in message.buttons:
        parts.append(f'<div class="row">{"".join(f"<span>{escape(button)}</span>" for button in row)}</div>')
        lines += 2
    if message.reactions:
        parts.append(f"<div>{' '.join(message.reactions)}</div>")
        lines += 1
    kind = "message" if message.is_bot else "message person"
    return f'<div class="{kind}">{"".join(parts)}</div>', lines


def _marked(message: Shown) -> str:
    """Returns the text with its links and its code marked. Telegram counts in units of UTF-16."""
    units = message.text.encode("utf-16-le")
    pieces, at = [], 0
    for entity in sorted(message.entities, key=lambda entity: int(entity["offset"])):
        tag = {"code": "code", "text_link": "a", "url": "a", "bold": "b", "italic": "i", "bot_command": "a", "hashtag": "a"}.get(entity["type"])
        begin, end = 2 * entity["offset"], 2 * (entity["offset"] + entity["length"])
        if tag is None or begin < at:
            continue
        pieces.append(escape(steady(units[at:begin].decode("utf-16-le"))))
        pieces.append(f"<{tag}>{escape(steady(units[begin:end].decode('utf-16-le')))}</{tag}>")
        at = end
    return "".join(pieces) + escape(steady(units[at:].decode("utf-16-le")))
