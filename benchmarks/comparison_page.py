"""Writes what `compare.py` measured into a page, between two marks, with a plot beside the page."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from comparison import LIMITS, Comparison
from matplotlib import pyplot as plt

__all__ = ["write_page"]

_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"
_BLUE, _ORANGE, _GREY = "#0072b2", "#e69f00", "#999999"


def write_page(comparison: Comparison, page: Path) -> None:
    """Replace what is between the marks in `page`, and write performance.png beside it.

    Raises:
        ValueError: the page has no such marks.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"{page} lacks '{_BEGIN}' and '{_END}'")
    measured = "\n".join(_lines(comparison))
    page.write_text(f"{before}{begin}\n{measured}\n{end}{after}", encoding="utf-8")
    _plot(comparison, page.with_name("performance.png"))


def _lines(comparison: Comparison) -> Iterator[str]:
    for name, value in comparison.machine.items():
        yield f"- {name}: {f'`{value}`' if name == 'command' else value}"
    yield f"- repeats: {len(comparison.repeats)}, everything in turn in each of them"
    yield ""
    yield "| | median | from | to | |\n|---|--:|--:|--:|---|"
    for name in comparison.names():
        values = comparison.values(name)
        is_part = name.startswith("part ")
        shown = [1e6 * value for value in values] if is_part else values
        yield _row(name.removeprefix("part "), shown, 0, "us per row" if is_part else "steps/s")
    for name in LIMITS:
        if values := comparison.limit(name):
            yield _row(f"**{name}**", values, 0, "steps/s")
    yield ""
    yield "| Ratio within a repeat | median | from | to |\n|---|--:|--:|--:|"
    for ratio in comparison.ratios():
        yield _row(ratio.name, ratio.values, 2)
    if comparison.scaling:
        yield from _scaling(comparison)
    yield ""
    yield "![The speeds, and how they grow with environments](performance.png)"


def _row(name: str, values: list[float], digits: int, *more: str) -> str:
    figures = (f"{each:,.{digits}f}" for each in (statistics.median(values), min(values), max(values)))
    return f"| {' | '.join([name, *figures, *more])} |"


def _scaling(comparison: Comparison) -> Iterator[str]:
    counts = sorted({int(row["environments"]) for row in comparison.scaling})
    yield ""
    yield f"| IMPALA, steps/s with | {' | '.join(f'{count} environments' for count in counts)} |"
    yield f"|---|{'--:|' * len(counts)}"
    for cores in sorted({int(row["cores"]) for row in comparison.scaling}):
        speeds = {row["environments"]: row["steps_per_second"] for row in comparison.scaling if row["cores"] == cores}
        yield f"| {cores} core{'s' * (cores > 1)} | {' | '.join(f'{speeds[count]:,.0f}' for count in counts)} |"


def _plot(comparison: Comparison, path: Path) -> None:
    plt.switch_backend("Agg")
    figure, (bars, curve) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=[3, 2])
    speeds = [name for name in comparison.names() if not name.startswith("part ")]
    medians = [statistics.median(comparison.values(name)) for name in speeds]
    colours = [_BLUE if " " not in name else _GREY if name.endswith("plain") else _ORANGE for name in speeds]
    bars.barh([name.removeprefix("peer ") for name in speeds], medians, color=colours)
    for row, median in enumerate(medians):
        bars.text(median, row, f" {median:,.0f}", va="center")
    bars.invert_yaxis()
    bars.margins(x=0.12)
    bars.set_xlabel("agent steps per second")
    for cores in sorted({int(row["cores"]) for row in comparison.scaling}):
        rows = [row for row in comparison.scaling if row["cores"] == cores]
        curve.plot(
            [row["environments"] for row in rows],
            [row["steps_per_second"] for row in rows],
            marker="o",
            label=f"{cores} core{'s' * (cores > 1)}",
        )
    counts = sorted({int(row["environments"]) for row in comparison.scaling})
    curve.set_xscale("log", base=2)
    curve.set_xticks(counts, [str(count) for count in counts])
    curve.set_ylim(bottom=0)
    curve.set_xlabel("environments")
    curve.set_ylabel("IMPALA, agent steps per second")
    if comparison.scaling:
        curve.legend(frameon=False)
    for axes in (bars, curve):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
