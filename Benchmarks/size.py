"""Measures how many bytes `make install` installs, from the release build as it is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from bench import MEGABYTE, ROOT, row, scratch
from results import at_most


def installed_bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def main() -> None:
    with scratch() as folder:
        environment = os.environ | {"DESTDIR": str(folder), "PREFIX": "/usr"}
        subprocess.run([str(ROOT / "scripts" / "install.sh")], check=True, env=environment, stderr=subprocess.DEVNULL)
        program = (folder / "usr/bin/tgpipe").stat().st_size
        row("everything that make install installs", installed_bytes(folder) / MEGABYTE, "MB", at_most(45))
        row("  the program with all tools", program / MEGABYTE, "MB")


if __name__ == "__main__":
    main()
