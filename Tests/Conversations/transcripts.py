"""Chats as text, without what differs from run to run."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable

from world import ROOT, Shown, Toast

CHANGING = [
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "https://site.example"),
    (re.compile(r"127\.0\.0\.1:\d+"), "site.example"),
    (re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d UTC"), "DATE"),
    (re.compile(r"(⏱ \u2068?)[\d.]+ (ms|s|min)"), r"\1TIME"),
    (re.compile(r"[,،] (about|حدود) [^\n]*"), r", \1 …"),
    (re.compile(r"\b\d+ (s|seconds?|ثانیه|Sek\.|ث)(?!\w)"), r"N \1"),
    (re.compile(r"\b[\d.]+ (B|kB|MB)\b"), r"N \1"),
    (re.compile(r"(⬇️[^\n]*?) [\d.]+ ?%?[^\n]*"), r"\1 …"),
]
TEXTS = tomllib.loads((ROOT / "Sources/Stages/TextFiles/data/en.toml").read_text())
PLACEHOLDER = re.compile(r"\{[a-z_]+\}")


def steady(text: str) -> str:
    """Returns a text in which times, addresses and ids have names."""
    for pattern, name in CHANGING:
        text = pattern.sub(name, text)
    return text


def transcript(title: str, snapshots: Iterable[list[Shown | Toast]]) -> str:
    parts = [f"# {title}"]
    numbers: dict[int, int] = {}
    for snapshot in snapshots:
        lines = []
        for line in snapshot:
            if isinstance(line, Toast):
                lines.append(f"* {line.who} presses [{line.button}]: {line.text}")
                continue
            number = numbers.setdefault(line.id, len(numbers) + 1)
            to = f" (to {numbers[line.answers]})" if line.answers in numbers else ""
            lines.append(f"{number} {line.who}{to}: {_content(line)}")
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
