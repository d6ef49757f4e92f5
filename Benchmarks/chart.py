"""Puts the figures of the last run of the benchmarks into docs/performance.md, and draws docs/performance.svg.

    chart.py [--check]      with --check, it only tells whether the page has a place for the figures of each benchmark

In the page, a comment `<!-- figures: NAME… -->` begins the table of these benchmarks, `<!-- machine -->` the description of the
machine, and `<!-- end -->` ends each. Figures of benchmarks that have not run since then stay away.
"""

from __future__ import annotations

import datetime
import math
import os
import platform
import re
import sys
from html import escape
from pathlib import Path

from results import ROOT, Row, file_of, number, read

PAGE, PICTURE = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.svg"
# The measures of the picture, in pixels.
WIDTH, LEFT, RIGHT, TOP, LINE, BAR = 880, 370, 90, 84, 34, 14
# Peers that do only a part of the work.
BOUNDS = ("cat", "redis-benchmark")
COLOURS = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.small { font-size: 11px; fill: #59636e }
.grid { stroke: #d1d9e0 }
.one { stroke: #59636e; stroke-width: 1.5 }
.ahead { fill: #1a7f64 }
.behind { fill: #b35900 }
.bound { fill: #8893a5 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .small { fill: #9198a1 }
  .grid { stroke: #3d444d }
  .one { stroke: #9198a1 }
  .ahead { fill: #3fb68b }
  .behind { fill: #e08f45 }
  .bound { fill: #6e7a8c }
}
"""


def table(rows: list[Row]) -> str:
    if not rows:
        return "These were not measured."
    lines = ["| figure | measured | peer | ratio | goal | met |", "| --- | ---: | ---: | ---: | --- | --- |"]
    above = ""
    for row in rows:
        continues = bool(above) and row.what.startswith(f"{above}: ")
        above = above if continues else row.what
        what = "… " + row.what.removeprefix(f"{above}: ") if continues else row.what
        verdict = ("yes" if row.meets else "**no**") if row.has_goal else ""
        cells = (what, row.figure_text, row.peer_text, row.ratio_text, row.goal_text, verdict)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def machine(benchmarks: list[str]) -> str:
    """Describes this machine, on which the figures must have been measured, and tells when they were."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    times = [datetime.date.fromtimestamp(file_of(name).stat().st_mtime) for name in benchmarks if file_of(name).exists()]
    facts = {
        "processor": f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{int(memory[1]) / 1024**2:.0f} GiB" if memory else "unknown",
        "system": f"{system}, Linux {platform.release().split('-')[0]}",
        "measured on": f"{min(times)} to {max(times)}" if len(set(times)) > 1 else str(times[0]),
    }
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in facts.items())])


def picture(rows: list[Row]) -> str:
    """Draws a bar for each row: how many times better than its peer it is, on a logarithmic scale."""
    lowest = math.floor(min(-1, *(math.log10(row.advantage) for row in rows)))
    highest = math.ceil(max(1, *(math.log10(row.advantage) for row in rows)))
    scale = (WIDTH - LEFT - RIGHT) / (highest - lowest)

    def place(power: float) -> float:
        return LEFT + (power - lowest) * scale

    height = TOP + LINE * len(rows) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>tgpipe beside comparable programs</title>", f"<style>{COLOURS}</style>",
        '<text x="12" y="20">How many times faster than a comparable program (logarithmic scale)</text>',
    ]  # fmt: skip
    legend = {"ahead": "faster", "behind": "slower", "bound": "beside a bound: a program that does only a part of the work"}
    x = 12.0
    for colour, text in legend.items():
        parts.append(f'<rect class="{colour}" x="{x:.0f}" y="33" width="{BAR}" height="{BAR}" rx="2"/>')
        parts.append(f'<text class="small" x="{x + BAR + 6:.0f}" y="44">{text}</text>')
        x += 90
    for power in range(lowest, highest + 1):
        x = place(power)
        parts.append(f'<line class="{"one" if power == 0 else "grid"}" x1="{x:.0f}" x2="{x:.0f}" y1="{TOP - 10}" y2="{height - 8}"/>')
        parts.append(f'<text class="small" x="{x:.0f}" y="{TOP - 18}" text-anchor="middle">{10.0**power:g} ×</text>')
    for index, row in enumerate(rows):
        y, exponent = TOP + index * LINE, math.log10(row.advantage)
        name, figures = row.what.split(", ")[0], f"{row.figure_text}; {row.peer} {number(row.peer_figure)}"
        start, end = sorted((place(0), place(exponent)))
        colour = "bound" if row.peer.startswith(BOUNDS) else "ahead" if exponent >= 0 else "behind"
        parts += [
            f'<text x="{LEFT - 12}" y="{y + 11}" text-anchor="end">{escape(name)}</text>',
            f'<text class="small" x="{LEFT - 12}" y="{y + 24}" text-anchor="end">{escape(figures)}</text>',
            f'<rect class="{colour}" x="{start:.1f}" y="{y}" width="{max(end - start, 1):.1f}" height="{BAR}" rx="2"/>',
            f'<text x="{end + 6:.1f}" y="{y + 12}">{row.advantage:.3g} ×</text>',
        ]  # fmt: skip
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    page = PAGE.read_text()
    named = [name for names in re.findall(r"<!-- figures: (.*?) -->", page) for name in names.split()]
    unnamed = benchmarks() - set(named)
    if unnamed:
        sys.exit(f"error: docs/performance.md has no place for the figures of {', '.join(sorted(unnamed))}")
    if "--check" in sys.argv:
        return
    rows = {name: read(name) for name in named}
    compared = [row for name in named for row in rows[name] if row.is_headline and row.peer]
    if not compared:
        sys.exit("error: there are no figures: run make bench")

    def filled(found: re.Match[str]) -> str:
        names = found[2].split()
        made = machine(named) if found[1] == "machine" else table([row for name in names for row in rows[name]])
        return f"<!-- {found[1]}{found[2]} -->\n\n{made}\n\n<!-- end -->"

    page = re.sub(r"<!-- (machine|figures:)(.*?) -->\n.*?<!-- end -->", filled, page, flags=re.DOTALL)
    PAGE.write_text(page)
    PICTURE.write_text(picture(compared))


def benchmarks() -> set[str]:
    """Returns the names of the benchmarks that scripts/bench.sh runs."""
    found = re.search(r"^names=\((.*?)\)", (ROOT / "scripts" / "bench.sh").read_text(), re.MULTILINE | re.DOTALL)
    return set(found[1].split()) if found else set()


if __name__ == "__main__":
    main()
