"""Holds what the benchmarks measured: each figure with its goal, in one file for each benchmark.

    results.py NAME…        lists which figures of these benchmarks fall short of their goals

The files are NAME.ndjson in the folder that TGPIPE_BENCH_RESULTS names (.build/bench): one line for each figure.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(os.environ.get("TGPIPE_BENCH_RESULTS", ROOT / ".build" / "bench"))
_TIMES = ("s", "ms", "µs")


@dataclass(frozen=True)
class Goal:
    limit: float
    is_most: bool
    is_ratio: bool
    """Whether the limit concerns the ratio to the peer's figure, and not the figure itself."""


def at_least(limit: float, *, times: bool = False) -> Goal:
    """Makes a goal for the figure, or with `times` for how many times better than the peer's it is."""
    return Goal(limit, False, times)


def at_most(limit: float, *, times: bool = False) -> Goal:
    """Makes a goal for the figure, or with `times` for how many times the peer's it is."""
    return Goal(limit, True, times)


@dataclass(frozen=True)
class Row:
    """Represents one figure. Units that end in `/s`, `/min` or `%` are rates, of which more is better; of all others, less is."""

    benchmark: str
    what: str
    """Describes the figure without the rows around it."""
    figure: float | bool
    """True or False where the question is only whether something is so, which it should be."""
    unit: str = ""
    goals: tuple[Goal, ...] = ()
    peer: str = ""
    peer_figure: float = 0
    """The peer's figure, in the same unit. Without a peer, 0."""
    is_headline: bool = False
    """Whether it is one of the few figures that `make bench-quick` measures and the chart shows."""

    @property
    def is_rate(self) -> bool:
        return self.unit.endswith(("/s", "/min", "%"))

    @property
    def advantage(self) -> float:
        """Returns how many times better than the peer's the figure is."""
        return _quotient(self.figure, self.peer_figure) if self.is_rate else _quotient(self.peer_figure, self.figure)

    @property
    def has_goal(self) -> bool:
        return bool(self.goals) or isinstance(self.figure, bool)

    @property
    def meets(self) -> bool:
        """Returns whether the figure meets all of its goals."""
        return bool(self.figure) if isinstance(self.figure, bool) else all(map(self._meets, self.goals))

    def _meets(self, goal: Goal) -> bool:
        figure = self.figure
        if goal.is_ratio:
            figure = _quotient(self.figure, self.peer_figure) if goal.is_most else self.advantage
        return figure <= goal.limit if goal.is_most else figure >= goal.limit

    # The texts for people.

    @property
    def figure_text(self) -> str:
        if isinstance(self.figure, bool):
            return "yes" if self.figure else "NO"
        return f"{number(self.figure)} {self.unit}".rstrip()

    @property
    def peer_text(self) -> str:
        return f"{self.peer} {number(self.peer_figure)} {self.unit}".rstrip() if self.peer else ""

    @property
    def ratio_text(self) -> str:
        if not self.peer:
            return ""
        ratios = [goal for goal in self.goals if goal.is_ratio]
        # Without a goal, in the words that make the number one or more.
        is_most = any(goal.is_most for goal in ratios) if ratios else not self.is_rate and self.advantage < 1
        return self._times(_quotient(self.figure, self.peer_figure) if is_most else self.advantage, is_most)

    @property
    def goal_text(self) -> str:
        if isinstance(self.figure, bool):
            return "yes"
        texts = []
        for goal in self.goals:
            limit = f"{goal.limit:,.10g}"
            what = self._times(goal.limit, goal.is_most, limit) if goal.is_ratio else f"{limit} {self.unit}".rstrip()
            texts.append(("at most " if goal.is_most else "at least ") + what)
        return ", ".join(texts)

    def _times(self, ratio: float, is_most: bool, text: str | None = None) -> str:
        text = text or number(ratio)
        if self.is_rate:
            return f"{text} ×"
        if self.unit in _TIMES:
            return f"{text} × the time" if is_most else f"{text} × faster"
        return f"{text} × as much" if is_most else f"{text} × less"

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as lines:
            lines.write(json.dumps(asdict(self), ensure_ascii=False) + "\n")


def number(value: float) -> str:
    """Returns a number with about three digits; a whole number with all of its digits."""
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def file_of(benchmark: str) -> Path:
    return FOLDER / f"{benchmark}.ndjson"


def read(benchmark: str) -> list[Row]:
    """Returns the rows of the last run of a benchmark; none if it has not run."""
    file = file_of(benchmark)
    rows = []
    for line in file.read_text().splitlines() if file.exists() else []:
        fields = json.loads(line)
        rows.append(Row(**fields | {"goals": tuple(Goal(**goal) for goal in fields["goals"])}))
    return rows


def _quotient(one: float, other: float) -> float:
    return one / other if other else float("inf")


def main() -> None:
    rows = [row for name in sys.argv[1:] for row in read(name) if row.has_goal]
    short = [row for row in rows if not row.meets]
    if not short:
        print(f"\nAll {len(rows)} figures that have a goal meet it.")
        return
    print(f"\n{len(short)} of {len(rows)} figures fall short of their goals:")
    for row in short:
        measured = ", ".join(filter(None, (row.figure_text, row.ratio_text)))
        print(f"  {row.benchmark}: {row.what}: {measured}; goal: {row.goal_text}")


if __name__ == "__main__":
    main()
