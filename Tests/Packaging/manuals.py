"""Check the man pages and completions that scripts/extras.sh has made: manuals.py FOLDER

FOLDER holds the tools, and the folders man and completions.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "EXIT STATUS", "SEE ALSO"]


def output(*words: str | Path) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def faults_of_tool(folder: Path, tool: str) -> list[str]:
    page = folder / "man" / "man1" / f"{tool}.1"
    if not page.exists():
        return ["has no page"]
    shown = output("mandoc", "-T", "utf8", "-O", "width=200", page)
    # A terminal's bold letters are written twice.
    shown = re.sub(".\b", "", shown)
    faults = [f"the page has no section {name}" for name in SECTIONS if f"\n{name}\n" not in shown]
    names = [tool]
    subcommands = re.findall(r"^  ([a-z-]+) +\S", output(folder / tool, "--help").partition("SUBCOMMANDS:")[2], re.MULTILINE)
    helps = [output(folder / tool, "--help")]
    helps += [output(folder / tool, name, "--help") for name in subcommands if name != "help"]
    for text in helps:
        for option in re.findall(r"^  (?:-\w, )?(--[a-z0-9-]+)", text, re.MULTILINE):
            if not re.search(rf"(?<![\w-]){option}(?![\w-])", shown):
                faults.append(f"the page does not have the option {option}")
    for name in subcommands:
        if name != "help" and name not in shown:
            faults.append(f"the page does not have the command {name}")
    # What one needs first comes first, as in the help.
    if tool == "tg-send" and shown.find("--chat") > shown.find("--from"):
        faults.append("the page begins with the options of pipelines")
    for shell, file in (("bash", tool), ("zsh", f"_{tool}"), ("fish", f"{tool}.fish")):
        script = folder / "completions" / shell / file
        if not script.exists() or "--help" not in script.read_text() and "help" not in script.read_text():
            faults.append(f"there is no completion for {shell}")
    checked = subprocess.run(["bash", "-n", folder / "completions" / "bash" / tool], capture_output=True, text=True)
    if checked.returncode:
        faults.append(f"bash does not understand the completion: {checked.stderr}")
    return [f"{names[0]}: {fault}" for fault in faults]


def main() -> None:
    folder = Path(sys.argv[1])
    faults: list[str] = []
    for tool in output(folder / "tgpipe", "--tools").split():
        faults += faults_of_tool(folder, tool)
    overview = re.sub(".\b", "", output("mandoc", "-T", "utf8", "-O", "width=200", folder / "man" / "man7" / "tgpipe.7"))
    tools = overview.partition("\nTOOLS\n")[2].partition("\nDESCRIPTION\n")[0]
    for tool in output(folder / "tgpipe", "--tools").split():
        if f"{tool}(1)" not in tools:
            faults.append(f"tgpipe(7) does not list {tool}")
    pages = sorted((folder / "man").glob("man*/*"))
    for page in pages:
        checked = subprocess.run(["mandoc", "-T", "lint", "-W", "style", page], capture_output=True, text=True)
        if checked.stdout or checked.returncode:
            faults.append(f"{page.name}: {checked.stdout}{checked.stderr}")
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"{len(pages)} man pages have all options, and mandoc has nothing to say about them")


if __name__ == "__main__":
    main()
