"""Check that the commands in the documentation exist, with all their options: commands.py BIN

BIN is the folder of the tools. The commands are those of README.md, docs/, the examples of --help and the scripts.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# A command on several lines is read as one.
MOST_LINES = 8
SEPARATORS = {"|", "||", "&", "&&", ";", "(", ")", "<(", "$", "{", "}", "!", "then", "do", "exec", "sudo", "time", "nohup"}
ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
PROMPT = re.compile(r"^\s*(?:[a-z0-9]+)?\$ ")


@dataclass
class Command:
    """The options and subcommands of a tool or of one of its subcommands."""

    options: set[str] = field(default_factory=set)
    # The options that have a value.
    valued: set[str] = field(default_factory=set)
    subcommands: dict[str, Command] = field(default_factory=dict)
    default: str | None = None

    @classmethod
    def of(cls, dump: dict[str, Any]) -> Command:
        command = cls(default=dump.get("defaultSubcommand"))
        for argument in dump.get("arguments", []):
            names = {("--" if name["kind"].startswith("long") and "Dash" not in name["kind"] else "-") + name["name"]
                     for name in argument.get("names", [])}  # fmt: skip
            command.options |= names
            if argument["kind"] == "option":
                command.valued |= names
        command.options |= {"--help", "--version", "-h"}
        # Every tool has a command help.
        command.subcommands = {sub["commandName"]: cls.of(sub) for sub in dump.get("subcommands", []) if sub["commandName"] != "help"}
        return command


def tools(folder: Path) -> dict[str, Command]:
    def output(*words: str) -> str:
        return subprocess.run([folder / words[0], *words[1:]], check=True, capture_output=True, text=True).stdout

    known = {name: Command.of(json.loads(output(name, "--experimental-dump-help"))["command"])
             for name in output("tgpipe", "--tools").split()}  # fmt: skip
    known["tgpipe"] = Command({"--tools", "--version", "--help"}, set(), {
        **known, **{name.removeprefix("tgpipe-"): command for name, command in known.items() if name.startswith("tgpipe-")},
    })  # fmt: skip
    return known


def blocks(path: Path) -> Iterator[list[str]]:
    """Yield the lines of each block of code, and each code within a line that looks like a command."""
    lines = path.read_text().splitlines()
    if path.suffix != ".md":
        yield [line.strip() for line in lines if not line.lstrip().startswith("#")]
        return
    block: list[str] = []
    for line in [*lines, ""]:
        if line.startswith("    ") and line.strip():
            block.append(line.strip())
        else:
            if block:
                yield block
            block = []
            for code in re.findall(r"`([^`]+)`", line):
                if " " in code:
                    yield [code]


def words_of(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|&;()<>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    return list(lexer)


def simple_commands(lines: list[str]) -> Iterator[list[str]]:
    """Yield the words of each command of a block, without redirections."""
    index = 0
    while index < len(lines):
        for count in range(1, MOST_LINES + 1):
            text = PROMPT.sub("", " ".join(lines[index : index + count]))
            if text.endswith("\\") and index + count < len(lines):
                continue
            try:
                words = words_of(text.replace("\\ ", " "))
            except ValueError:
                continue
            # A line of options continues the one before.
            if index + count < len(lines) and re.match(r"(-[-\w]|\| )", lines[index + count]):
                continue
            break
        else:
            index += 1
            continue
        index += count
        command: list[str] = []
        for word in [*words, ";"]:
            if word in SEPARATORS or re.fullmatch(r"[|&;()<>]+", word):
                if command:
                    yield command
                command = []
            else:
                command.append(word)


def faults(words: list[str], known: dict[str, Command]) -> Iterator[str]:
    while words and (ASSIGNMENT.match(words[0]) or words[0] in ("sudo", "env", "exec", "setsid")):
        words = words[1:]
    if not words:
        return
    name = words[0].rsplit("/", 1)[-1]
    if name not in known:
        return
    path, command, rest = name, known[name], words[1:]
    while command.subcommands and rest and re.fullmatch(r"[a-z][a-z-]+", rest[0]):
        if rest[0] not in command.subcommands:
            if command.default:
                break
            yield f"{path} has no command {rest[0]}"
            return
        path, command, rest = f"{path} {rest[0]}", command.subcommands[rest[0]], rest[1:]
    if command.subcommands and command.default:
        command = command.subcommands[command.default]
    skip = False
    for word in rest:
        if skip:
            skip = False
            continue
        if word == "--":
            return
        option = word.split("=", 1)[0].rstrip("].…,")
        if not re.fullmatch(r"--[a-z][a-z0-9-]*|-[A-Za-z]", option):
            continue
        if option not in command.options:
            yield f"{path} has no option {option}"
        elif option in command.valued and "=" not in word:
            skip = True


def documents(folder: Path, known: dict[str, Command]) -> Iterator[tuple[str, list[str]]]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").glob("*.sh"))]
    for path in pages:
        for block in blocks(path):
            yield str(path.relative_to(ROOT)), block
    for tool in known:
        shown = subprocess.run([folder / tool, "--help"], capture_output=True, text=True, check=True).stdout
        example, _, _ = re.split(r"\nExamples?:", f"{shown}\nExamples:", maxsplit=1)[1].partition("\n\n")
        yield f"{tool} --help", [line.strip() for line in example.splitlines() if line.strip()]


def main() -> None:
    folder = Path(sys.argv[1])
    known = tools(folder)
    found: set[str] = set()
    count = 0
    for place, block in documents(folder, known):
        for words in simple_commands(block):
            name = words[0].rsplit("/", 1)[-1]
            count += name in known
            found |= {f"{place}: {' '.join(words)[:80]}: {fault}" for fault in faults(words, known)}
    for fault in sorted(found):
        print(f"error: {fault}", file=sys.stderr)
    if count < 200:
        sys.exit(f"error: only {count} commands were found in the documentation")
    if found:
        sys.exit(1)
    print(f"{count} commands in the documentation: all exist, with their options")


if __name__ == "__main__":
    main()
