"""Runs the pipeline with workers of two versions on the same queues, and exchanges them one after the other (see README.md)."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from chaos import Chaos, run_chaos
from faults import Schedule
from stages import Stage


class Upgrade(Chaos):
    """Begins with old stages. Of each that has two workers, the second one is new. Then all change to and fro."""

    def _stages(self, environment: dict[str, str]) -> list[Stage]:
        stages = super()._stages(environment)
        self._are_new = {stage.name: stage.name.endswith(".1") for stage in stages}
        for stage in stages:
            if self._are_new[stage.name]:
                stage.change(self.options.new)
        self.changes = 0
        return stages

    def _add_faults(self, schedule: Schedule, stages: list[Stage]) -> None:
        def change() -> None:
            stage = self.random.choice(stages)
            self._are_new[stage.name] = not self._are_new[stage.name]
            stage.change(self.options.new if self._are_new[stage.name] else self.options.tools)
            self.changes += 1

        schedule.add(self.options.changes, "a stage changes its version", change)

    def _judge(self, stages: list[Stage], statuses: dict[str, int | None], environment: dict[str, str]) -> None:
        self.verdict.check(self.changes == self.options.changes, f"{self.changes} changes of a stage's version, to and fro")
        super()._judge(stages, statuses, environment)


def version(tools: Path) -> str:
    return subprocess.run([str(tools / "tg-send"), "--version"], capture_output=True, text=True, check=True).stdout.strip()


def folder(text: str, links: Path) -> Path:
    """Returns a folder that has a link for each tool, for a folder of tools or the program tgpipe itself."""
    path = Path(text).resolve()
    if path.is_dir():
        return path
    links.mkdir()
    for name in subprocess.run([str(path), "--tools"], capture_output=True, text=True, check=True).stdout.split():
        (links / name).symlink_to(path)
    return links


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog="A short run: --requests 200 --sources 40 --users 10 --kills 10 --seconds 60")
    with tempfile.TemporaryDirectory(prefix="tgpipe-versions-", dir="/tmp") as links:
        parser.add_argument("tools", type=lambda text: folder(text, Path(links) / "old"), metavar="OLD", help="the program tgpipe, or its folder")
        parser.add_argument("new", type=lambda text: folder(text, Path(links) / "new"), metavar="NEW", help="the same of the other version")
        parser.add_argument("--changes", type=int, default=40, help="how often a stage ends and goes on in the other version")
        return run_chaos("upgrade", parser, Upgrade, requests=600, sources=120, users=20, kills=20, redis_restarts=1, refusals=2)


if __name__ == "__main__":
    sys.exit(main())
