"""Measures what the jail adds to a run of yt-dlp, and of a program that does nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench import ROOT, TOOLS, row
from results import at_most

RUNS = 15


def compared(program: Path, *arguments: str) -> tuple[float, float]:
    """Returns the median milliseconds of a run without and with the jail."""
    command = [str(TOOLS / "jail-check"), "cost", str(RUNS), str(program), *arguments]
    free, jailed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(free), float(jailed)


def main() -> None:
    if not (TOOLS / "jail-check").exists():
        sys.exit(f"error: unable to find jail-check in {TOOLS}: run scripts/swift.sh build -c release --product jail-check")
    for program, *arguments in ((ROOT / ".venv" / "bin" / "yt-dlp", "--version"), (Path("/usr/bin/true"),)):
        free, jailed = compared(Path(program), *map(str, arguments))
        what = " ".join([Path(program).name, *map(str, arguments)])
        row(f"{what}, in the jail", jailed, "ms", peer=("without it", free))
        row("  what the jail adds", jailed - free, "ms", at_most(30))


if __name__ == "__main__":
    main()
