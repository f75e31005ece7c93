"""Curves as figures for papers, PNG and PDF."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from crl_report.style import SHADE, Panel, colour

__all__ = ["write_figures"]

_WIDTH, _HEIGHT = 3.4, 2.4  # inches of a panel; two fit a page of a paper
_COLUMNS = 3
_LETTERS_PER_INCH, _LETTERS_OF_A_LINE = 11, 7  # of a legend; the lines in it and their distances count as letters


def write_figures(name: str, panels: Sequence[Panel], labels: Sequence[str], directory: Path) -> list[Path]:
    """Write `<name>.png` and `<name>.pdf`, all panels in one figure; return their paths."""
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(_WIDTH * columns, _HEIGHT * rows + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    for position, panel in enumerate(panels, 1):
        _draw(figure.add_subplot(rows, columns, position), panel, labels)
    handles, names = figure.axes[0].get_legend_handles_labels()
    legend = figure.legend(
        handles, names, loc="outside upper center", ncols=_legend_columns(labels, _WIDTH * columns), frameon=False
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # a dollar in a name is a dollar
    paths = [directory / f"{name}.png", directory / f"{name}.pdf"]
    for path in paths:
        figure.savefig(path, dpi=200)
    return paths


def _legend_columns(labels: Sequence[str], width: float) -> int:
    """Return how many labels stand beside each other in so many inches."""
    letters = max(map(len, labels)) + _LETTERS_OF_A_LINE
    return max(1, min(len(labels), int(width * _LETTERS_PER_INCH / letters)))


def _draw(axes: Axes, panel: Panel, labels: Sequence[str]) -> None:
    for start, end in panel.shaded:
        axes.axvspan(start, end, color=SHADE, linewidth=0)
    style = "--" if panel.dashed else "-"
    for index, (label, band) in enumerate(zip(labels, panel.bands, strict=True)):
        if band is None:
            axes.plot([], [], color=colour(index), label=label)  # the legend is that of the first panel
            continue
        axes.plot(band.steps, band.mean, style, color=colour(index), linewidth=1.4, label=label)
        axes.fill_between(band.steps, band.low, band.high, color=colour(index), alpha=0.2, linewidth=0)
    axes.set_title(f"{panel.title} (evaluation only)" if panel.dashed else panel.title, fontsize=10, parse_math=False)
    axes.set_xlabel("training steps", fontsize=9)
    axes.set_ylabel(panel.unit, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01)
    axes.set_ylim(panel.limits())
