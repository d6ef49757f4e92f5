"""Write the man pages: man.py BIN FOLDER

A tool's page is made from the definitions of its arguments, which the tool prints, and from its page in docs/. Other pages of
docs/ become pages of section 5 and 7.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

# The pages of docs/ that are no page of a tool: their names, sections and descriptions.
PAGES = {
    "operation": ("tgpipe", "7", "small programs for Telegram that exchange events as lines of JSON"),
    "events": ("tgpipe-envelope", "5", "the events that the tools of tgpipe exchange"),
    "stage": ("tgpipe-stage", "7", "stages of your own between the tools of tgpipe"),
    "pipeline": ("tgpipe-pipeline", "7", "how a request travels through the tools of tgpipe"),
    "guide": ("tgpipe-guide", "7", "how to run tgpipe for a long time, and what to do when something fails"),
    "systemd": ("tgpipe-systemd", "7", "the services of tgpipe under systemd"),
    "exit-status": ("tgpipe-exit-status", "7", "the exit statuses of the tools of tgpipe"),
    "queues": ("tgpipe-queues", "7", "durable queues between the tools of tgpipe"),
    "redis": ("tgpipe-redis", "7", "the Redis of the tools of tgpipe: TLS, sentinels, clusters"),
    "scale": ("tgpipe-scale", "7", "how much tgpipe carries, and what to change at each limit"),
    "coordination": ("tgpipe-coordination", "7", "the keys that the tools of tgpipe keep in Redis"),
    "heartbeats": ("tgpipe-heartbeats", "7", "what live stages of tgpipe show in Redis"),
    "security": ("tgpipe-security", "7", "what tgpipe protects against, and how"),
    "tl": ("tgpipe-tl", "5", "the values of Telegram's API for accounts, as JSON"),
    "mtproto": ("tgpipe-mtproto", "7", "the protocol that tgpipe speaks as an account"),
}
# Other names of a page.
ALIASES = {"tgpipe-envelope": "envelope"}
# The page of docs/ about a tool, where it does not have the tool's name, and the section of it.
DOCUMENTS = {"tg-session": ("session", None), "ev-queue": ("queues", "ev-queue")}
SECTIONS_OF_DOCUMENTS = {"examples", "exit status", "files", "environment"}


# --- roff


def escape(text: str) -> str:
    """Return text as roff shows it, in a line of its own or within one."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha")
    return text.replace("~", "\\(ti").replace("\u2011", "\\-")


def line(text: str) -> str:
    """Keep a line from being taken for a request."""
    return "\\&" + text if text.startswith((".", "'")) else text


def reference(target: str, words: str) -> str:
    """Return the words of a link, with the page that it leads to."""
    name = target.split("#")[0].rsplit("/", 1)[-1].removesuffix(".md")
    if target.startswith("#"):
        return inline(words)
    if target.startswith("http"):
        return inline(words) if words in target else f"{inline(words)} <{escape(target)}>"
    if name in PAGES:
        page, section, _ = PAGES[name]
        found = f"\\fB{escape(page)}\\fR({section})"
    elif "/" not in target and (DOCS / f"{name}.md").exists() or name in DOCUMENTS:
        tool = next((tool for tool, (page, _) in DOCUMENTS.items() if page == name), name)
        found = f"\\fB{escape(tool)}\\fR(1)" if name not in ("architecture",) else escape("docs/architecture.md")
    else:
        return inline(words)
    shown = words.strip("`").removesuffix(".md")
    return found if shown == name else f"{inline(words)} ({found})"


INLINE = re.compile(r"`([^`]+)`|\[((?:[^\]`]|`[^`]*`)+)\]\(([^)]+)\)|\*\*([^*]+)\*\*|\*([^*]+)\*|<(https?://[^>]+)>")


def inline(text: str) -> str:
    """Return a text of Markdown with its code, links and emphasis."""
    result = ""
    position = 0
    for found in INLINE.finditer(text):
        result += escape(text[position : found.start()].replace("\\|", "|"))
        code, words, target, strong, emphasis, address = found.groups()
        if code is not None:
            result += f"\\fB{escape(code.replace(chr(92) + '|', '|'))}\\fR"
        elif target is not None:
            result += reference(target, words)
        elif strong is not None:
            result += f"\\fB{inline(strong)}\\fR"
        elif emphasis is not None:
            result += f"\\fI{inline(emphasis)}\\fR"
        else:
            result += escape(address)
        position = found.end()
    return result + escape(text[position:].replace("\\|", "|"))


def width(text: str) -> int:
    """Return the number of columns of a source line, in which man writes each other character as \\[uXXXX]."""
    return sum(1 if character.isascii() else 8 for character in text)


def paragraph(text: str) -> list[str]:
    """Return a paragraph with a line for each sentence, broken where lines get long, as roff sources are written."""
    lines: list[str] = []
    for sentence in re.split(r"(?<=[.!?:])\s+(?=[A-Z`(\[])", " ".join(text.split())):
        lines += wrapped(inline(sentence))
    return lines


def wrapped(text: str) -> list[str]:
    """Return a text of roff in lines of at most 78 columns, where its words allow it."""
    lines: list[str] = []
    current = ""
    for word in text.split():
        if current and width(current) + width(word) > 78:
            lines.append(line(current))
            current = word
        else:
            current = f"{current} {word}" if current else word
    return [*lines, line(current)] if current else lines


# --- Markdown


def table(rows: list[str]) -> list[str]:
    """Return a table as a list: the first column is the term, the others describe it."""
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip()[1:-1])] for row in rows]
    head, body = cells[0], cells[2:]
    lines: list[str] = []
    for row in body:
        term = inline(row[0]) or "\\&"
        text = [
            paragraph(f"{title[:1].upper()}{title[1:]}: {cell}" if len(head) > 2 and title else cell)
            for title, cell in zip(head[1:], row[1:], strict=False)
            if cell
        ]
        description = [part for number, found in enumerate(text) for part in [*([".br"] if number else []), *found]]
        if width(term) <= 78:
            lines += [".TP", line(term), *(description or ["\\&"])]
        else:
            lines += [".PP", *wrapped(term), ".RS 7", *description, ".RE"]
    return lines


class Document:
    """A page of Markdown as roff, split into its sections."""

    def __init__(self, text: str) -> None:
        self.sections: list[tuple[str, list[str]]] = []
        self._lines: list[str] = []
        lines = text.splitlines()
        title = next((found[2:] for found in lines if found.startswith("# ")), "")
        self.title = title
        self._start("")
        index = 0
        while index < len(lines):
            index = self._block(lines, index)

    def _start(self, name: str) -> None:
        self._lines = []
        self.sections.append((name, self._lines))
        self._fresh = True

    def _break(self, macro: str = ".PP") -> None:
        if not self._fresh:
            self._lines.append(macro)
        self._fresh = False

    def _block(self, lines: list[str], index: int) -> int:
        text = lines[index]
        if not text.strip():
            return index + 1
        if text.startswith("#"):
            name = re.sub(r"^#+ *", "", text)
            if text.startswith("## "):
                self._start(name)
            elif text.startswith("### "):
                self._lines += [f'.SS "{escape(name.replace("`", ""))}"']
                self._fresh = True
            return index + 1
        if text.startswith("```") or text.startswith("    "):
            return self._code(lines, index)
        if text.startswith("|"):
            end = index
            while end < len(lines) and lines[end].startswith("|"):
                end += 1
            rows = table(lines[index:end])
            # A heading begins a paragraph by itself.
            self._lines += rows[1:] if self._fresh and rows[:1] == [".PP"] else rows
            self._fresh = False
            return end
        item = re.match(r"^(- |\d+\. )", text)
        end = index + 1
        stop = re.compile(r"^(#|\||```|- |\d+\. |\s*$)")
        while end < len(lines) and not stop.match(lines[end]):
            end += 1
        body = " ".join(part.strip() for part in lines[index:end])
        if item:
            mark = "\\(bu" if item.group().startswith("-") else item.group().strip()
            self._lines += [f".IP {mark} 4", *paragraph(body[len(item.group()) :])]
            self._fresh = False
            # Further paragraphs of the item are indented.
            return end
        self._break()
        self._lines += paragraph(body)
        return end

    def _code(self, lines: list[str], index: int) -> int:
        fenced = lines[index].startswith("```")
        end = index + 1 if fenced else index
        code: list[str] = []
        while end < len(lines):
            text = lines[end]
            if fenced and text.startswith("```"):
                end += 1
                break
            if not fenced and text.strip() and not text.startswith("    "):
                break
            code.append(text if fenced else text[4:])
            end += 1
        while code and not code[-1].strip():
            code.pop()
        shown = [line(escape(text)) if text.strip() else "\\&" for text in code]
        self._lines += ([".PP"] if not self._fresh else []) + [".RS 4", ".EX", *shown, ".EE", ".RE"]
        self._fresh = False
        return end


# --- the arguments of a tool


def names(argument: dict[str, Any]) -> str:
    """Return how an argument is written, as the term of a list."""
    value = escape(argument.get("valueName", ""))
    if argument["kind"] == "positional":
        return f"\\fI{value}\\fR"
    found = []
    for name in argument.get("names", []):
        dashes = "\\-" if name["kind"] == "short" else "\\-\\-"
        found.append(f"\\fB{dashes}{escape(name['name'])}\\fR")
    return ", ".join(found) + (f" \\fI{value}\\fR" if argument["kind"] == "option" else "")


def synopsis(command: str, argument_list: list[dict[str, Any]]) -> list[str]:
    shown = [f"\\fB{escape(command)}\\fR [\\fIoptions\\fR]"]
    for argument in argument_list:
        if argument["kind"] != "positional":
            continue
        text = f"\\fI{escape(argument.get('valueName', ''))}\\fR"
        if argument.get("isRepeating"):
            text += " ..."
        shown.append(f"[{text}]" if argument.get("isOptional") else text)
    return [line(" ".join(shown))]


def options(argument_list: list[dict[str, Any]]) -> list[str]:
    lines: list[str] = []
    for argument in argument_list:
        text = argument.get("abstract", "")
        default = argument.get("defaultValue")
        values = argument.get("allValues")
        if values and not argument.get("discussion"):
            text += f" One of: {', '.join(values)}."
        if default and argument["kind"] == "option":
            text += f" Default: {default}."
        lines += [".TP", line(names(argument)), *(paragraph(text) or ["\\&"])]
    return lines


# The beginnings of the titles of options, as HelpText.swift orders them for --help.
FIRST = ["sending one message", "storing one file", "fetching links", ""]
LAST = ["as an account", "log, state and redis", "reading from", "reaching telegram"]


def rank(title: str) -> int:
    """Return the place of a group of options: what one needs first comes first, and what all tools share comes last."""
    title = title.lower()
    for place, start in enumerate(FIRST):
        if title == start or start and title.startswith(start):
            return place
    return next((len(FIRST) + 1 + place for place, start in enumerate(LAST) if title.startswith(start)), len(FIRST))


def grouped(argument_list: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    groups: dict[str, list[dict[str, Any]]] = {"": []}
    for argument in argument_list:
        if argument.get("shouldDisplay", True):
            groups.setdefault(argument.get("sectionTitle") or "", []).append(argument)
    return sorted(((title, found) for title, found in groups.items() if found), key=lambda group: rank(group[0]))


def environment(argument_list: list[dict[str, Any]]) -> list[str]:
    """Return the variables that the definitions of options name."""
    lines: list[str] = []
    seen: set[str] = set()
    for argument in argument_list:
        text = argument.get("abstract", "")
        for variable in re.findall(r"\[env: ([A-Z_, ]+)\]", text):
            for name in variable.split(", "):
                if name in seen or not argument.get("names"):
                    continue
                seen.add(name)
                lines += [".TP", f"\\fB{escape(name)}\\fR", f"The same as {names(argument)}."]
        for name in re.findall(r"\b(T(?:G|GPIPE)_[A-Z_]+) from the\s+environment", text):
            if name not in seen:
                seen.add(name)
                lines += [".TP", f"\\fB{escape(name)}\\fR", f"Used if {names(argument)} is not given."]
    return lines


def discussion(text: str) -> tuple[list[str], list[str]]:
    """Return the paragraphs of a tool's discussion, and its examples."""
    lines: list[str] = []
    examples: list[str] = []
    for part in text.split("\n\n"):
        if found := re.match(r"\s*Examples?:", part):
            body = part[found.end() :]
            examples += [" ".join(found.split("  ")).strip() for found in body.splitlines() if found.strip()]
        elif part.strip():
            lines += [".PP", *paragraph(part)]
    return lines[1:], examples


def header(name: str, section: str, abstract: str, date: str, release: str) -> list[str]:
    manual = {"1": "tgpipe tools", "5": "tgpipe formats", "7": "tgpipe"}[section]
    return [
        f'.TH {escape(name.upper())} {section} {date} "tgpipe {release}" "{manual}"',
        ".SH NAME",
        *paragraph(f"{name} \u2011 {abstract.rstrip('.')}"),
    ]


def tool_page(name: str, command: dict[str, Any], date: str, release: str) -> str:
    abstract = command["abstract"]
    lines = header(name, "1", abstract[:1].lower() + abstract[1:], date, release)
    subcommands = [found for found in command.get("subcommands", []) if found["commandName"] != "help"]
    lines.append(".SH SYNOPSIS")
    for number, found in enumerate(subcommands or [command]):
        called = f"{name} {found['commandName']}" if subcommands else name
        if number:
            lines.append(".br")
        lines += synopsis(called, found["arguments"])
    text, examples = discussion(command.get("discussion", ""))
    lines += [".SH DESCRIPTION", *text]
    document, part = DOCUMENTS.get(name, (name, None))
    path = DOCS / f"{document}.md"
    page = Document(path.read_text()) if path.exists() else None
    parts = page.sections if page else []
    if part is not None:
        parts = [("", body) for title, body in parts if title == part]
    for title, body in parts:
        if title == "" and body:
            lines += [".PP", *body]
    if subcommands:
        lines.append(".SH COMMANDS")
        for found in subcommands:
            lines.append(f'.SS "{escape(found["commandName"])}"')
            lines += paragraph(found.get("abstract", ""))
            more, more_examples = discussion(found.get("discussion", ""))
            lines += ([".PP", *more] if more else []) + options([a for _, g in grouped(found["arguments"]) for a in g])
            examples += more_examples
    else:
        lines.append(".SH OPTIONS")
        for title, group in grouped(command["arguments"]):
            if title:
                lines.append(f'.SS "{escape(title)}"')
            lines += options(group)
    every = command["arguments"] + [a for found in subcommands for a in found["arguments"]]
    for title, body in parts:
        if title and title.lower() not in SECTIONS_OF_DOCUMENTS and body:
            lines += [f'.SH "{escape(title.upper().replace("`", ""))}"', *body]
    variables = environment(every)
    if variables:
        lines += [".SH ENVIRONMENT", *variables]
    lines += [".SH FILES", ".TP", "\\fI$TGPIPE_STATE\\fR, \\fI$XDG_STATE_HOME/tgpipe\\fR or \\fI\\(ti/.local/state/tgpipe\\fR",
              "The state folder.", "\\fBtgpipe\\fR(7) lists what is in it."]  # fmt: skip
    lines += [".SH EXIT STATUS"]
    own = next((body for title, body in parts if title.lower() == "exit status"), None)
    lines += own or Document((DOCS / "exit-status.md").read_text()).sections[0][1]
    if own:
        lines += [".PP", "\\fBtgpipe\\-exit\\-status\\fR(7) lists all statuses."]
    if examples:
        lines += [".SH EXAMPLES", ".EX", *[line(escape(found)) for found in examples], ".EE"]
    lines += [".SH SEE ALSO", "\\fBtgpipe\\fR(7), \\fBtgpipe\\-envelope\\fR(5), \\fBtgpipe\\-exit\\-status\\fR(7)"]
    return "\n".join(lines) + "\n"


def list_of_tools(tools: dict[str, str]) -> list[str]:
    """Return a section with the tools and what each is for."""
    lines = [".SH TOOLS"]
    for tool, abstract in tools.items():
        lines += [".TP", f"\\fB{escape(tool)}\\fR(1)", *paragraph(abstract)]
    return lines


def general_page(
    path: Path, name: str, section: str, abstract: str, date: str, release: str, tools: dict[str, str]
) -> str:
    page = Document(path.read_text())
    lines = header(name, section, abstract, date, release)
    if name == "tgpipe":
        lines += list_of_tools(tools)
    for title, body in page.sections:
        if body:
            lines += [f'.SH "{escape((title or "DESCRIPTION").upper().replace("`", ""))}"', *body]
    others = [f"\\fB{escape(tool)}\\fR(1)" for tool in tools]
    others += [f"\\fB{escape(other)}\\fR({number})" for other, number, _ in PAGES.values() if other != name]
    lines += [".SH SEE ALSO", *[f"{other}," for other in others[:-1]], others[-1]]
    return "\n".join(lines) + "\n"


def main() -> None:
    binaries, folder = Path(sys.argv[1]), Path(sys.argv[2])

    def run(*words: str) -> str:
        return subprocess.run([binaries / "tgpipe", *words], check=True, capture_output=True, text=True).stdout

    release = run("--version").split()[0]
    log = (ROOT / "CHANGELOG.md").read_text()
    released = re.search(rf"^## {re.escape(release)} \((\d{{4}}-\d\d-\d\d)\)", log, re.MULTILINE)
    date = released.group(1) if released else "1970-01-01"
    tools: dict[str, str] = {}
    for tool in run("--tools").split():
        command = json.loads(run(tool, "--experimental-dump-help"))["command"]
        tools[tool] = command["abstract"]
        target = folder / "man1" / f"{tool}.1"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(tool_page(tool, command, date, release))
    for document, (name, section, abstract) in PAGES.items():
        target = folder / f"man{section}" / f"{name}.{section}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(general_page(DOCS / f"{document}.md", name, section, abstract, date, release, tools))
        if name in ALIASES:
            alias = target.parent / f"{ALIASES[name]}.{section}"
            alias.unlink(missing_ok=True)
            alias.symlink_to(target.name)


if __name__ == "__main__":
    main()
