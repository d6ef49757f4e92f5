"""Chats as text, without what differs from run to run."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence

from world import ROOT, Shown, Snapshot, Toast

CHANGING = [
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "https://site.example"),
    (re.compile(r"127\.0\.0\.1:\d+"), "site.example"),
    (re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d UTC"), "DATE"),
    (re.compile(r"(⏱ ([^:\n]+: )?\u2068?)[\d.]+ [^\W\d_]+"), r"\1TIME"),
    # The estimate of the wait needs experience.
    (re.compile(r"[,،] (about|حدود) [^\n]*"), ""),
    (re.compile(r"\b\d+ (s|seconds?|min|ثانیه|دقیقه|Sek\.|ث)(?!\w)"), r"N \1"),
    (re.compile(r"\b[\d.]+ (B|kB|MB)\b"), "SIZE"),
    (re.compile(r"(⬇️[^▰▱\n]*)[▰▱]+[^\n]*"), r"\1▰▱ …"),
]
TEXTS = tomllib.loads((ROOT / "Sources/Stages/TextFiles/data/en.toml").read_text())
PLACEHOLDER = re.compile(r"\{[a-z_]+\}")


def steady(text: str) -> str:
    """Returns a text in which times, addresses and ids have names."""
    for pattern, name in CHANGING:
        text = pattern.sub(name, text)
    return text


def transcript(title: str, snapshots: Sequence[Snapshot]) -> str:
    """Returns what chats showed at several moments. Messages have the numbers that they have in the order of their chat."""
    parts = [f"# {title}"]
    has_chats = len({snapshot.chat for snapshot in snapshots}) > 1
    numbers: dict[tuple[str, int | None], int] = {}
    for snapshot in snapshots:
        lines = [f"## {snapshot.chat}\n"] if has_chats else []
        for line in snapshot.lines:
            if isinstance(line, Toast):
                lines.append(f"* {line.who} presses [{line.button}]: {line.text}")
                continue
            number = numbers.setdefault((snapshot.chat, line.id), len(numbers) + 1)
            answered = numbers.get((snapshot.chat, line.answers))
            notes = (f" (to {answered})" if answered else "") + (" (deleted)" if line.is_deleted else "")
            lines.append(f"{number} {line.who}{notes}: {_content(line)}")
            lines += [f"    [{'] ['.join(row)}]" for row in line.buttons]
            if line.reactions:
                lines.append(f"    {' '.join(line.reactions)}")
        parts.append(steady("\n".join(lines)))
    return "\n\n".join(parts) + "\n"


def _content(message: Shown) -> str:
    text = message.text
    hidden = [entity["url"] for entity in message.entities if entity["type"] == "text_link"]
    if hidden:
        text += f" → {' '.join(hidden)}"
    content = "\n".join(part for part in (message.media, text) if part)
    return content.replace("\n", "\n    ")


def faults_of(message: Shown) -> list[str]:
    """Returns what is wrong with a text of the bot."""
    texts = [message.text] + [button for row in message.buttons for button in row]
    faults = []
    for text in texts:
        keys = [word for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", text) if word in TEXTS]
        if keys:
            faults.append(f"a key in place of its text: {keys[0]}")
        if PLACEHOLDER.search(text):
            faults.append(f"a placeholder without a value: {text!r}")
        if text.count("\u2068") != text.count("\u2069"):
            faults.append(f"unbalanced marks of direction: {text!r}")
        if re.search(r" [,;.!?،؛؟](\s|$)|\s\s|\bnil\b|Optional\(", text.replace("\n", "")) and "\n" not in text:
            faults.append(f"odd spaces or punctuation: {text!r}")
    return faults
