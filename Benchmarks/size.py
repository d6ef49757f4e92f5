"""Measures how many bytes `make install` installs, from the release build as it is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from bench import MEGABYTE, ROOT, row, scratch

TARGET_MEGABYTES = 45


def installed_bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def main() -> None:
    with scratch() as folder:
        environment = os.environ | {"DESTDIR": str(folder), "PREFIX": "/usr"}
        subprocess.run([str(ROOT / "scripts" / "install.sh")], check=True, env=environment, stderr=subprocess.DEVNULL)
        program = (folder / "usr/bin/tgpipe").stat().st_size
        row("the program with all tools", f"{program / MEGABYTE:.1f} MB")
        row("everything that make install installs", f"{installed_bytes(folder) / MEGABYTE:.1f} MB", wanted=f"at most {TARGET_MEGABYTES} MB")


if __name__ == "__main__":
    main()
