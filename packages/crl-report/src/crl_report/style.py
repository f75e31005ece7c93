"""What figures of both kinds, printed and interactive, share: panels, colours, shaded regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crl_report.analysis import Analysis
from crl_report.bands import Band, average_band, plasticity_band, task_band

__all__ = ["SHADE", "Panel", "colour", "make_figures"]

# Okabe and Ito's palette, which colour-blind readers can tell apart, without its yellow and black.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F3C8D", "#666666")
SHADE = "#E6E6E6"
_ROOM = 0.3


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: above it.
        unit: of the vertical axis.
        bands: a band for each group, None where the group has none.
        shaded: the steps between which the task is trained.
        dashed: whether the task is only evaluated.
    """

    title: str
    unit: str
    bands: Sequence[Band | None]
    shaded: Sequence[tuple[float, float]]
    dashed: bool

    def limits(self) -> tuple[float, float]:
        """Return the vertical axis: the mean curves and some room, as the interval of two runs may go far beyond."""
        means = [value for band in self.bands if band is not None for value in (band.mean.min(), band.mean.max())]
        low, high = min(means, default=0.0), max(means, default=1.0)
        room = _ROOM * (high - low) or 1.0
        return float(low - room), float(high + room)


def colour(index: int) -> str:
    """Return the colour of a group."""
    return _COLOURS[index % len(_COLOURS)]


def make_figures(analysis: Analysis) -> dict[str, list[Panel]]:
    """Return the panels of each figure: `curves`, and `plasticity` where some run measured it."""
    plasticity = _plasticity_panels(analysis)
    return {"curves": _curve_panels(analysis), **({"plasticity": plasticity} if plasticity else {})}


def _curve_panels(analysis: Analysis) -> list[Panel]:
    """Return a panel for each evaluated task, and one for the average over tasks where there are several."""
    panels = [
        Panel(
            title=analysis.tasks[i].id,
            unit="return",
            bands=[task_band(group, i) for group in analysis.groups],
            shaded=_regions(analysis, i),
            dashed=not analysis.tasks[i].trained,
        )
        for i in analysis.evaluated
    ]
    if len(analysis.scaled) > 1:
        bands = [average_band(analysis, group) for group in analysis.groups]
        panels.append(Panel("average over tasks", "return / s", bands, [], dashed=False))
    return panels


def _plasticity_panels(analysis: Analysis) -> list[Panel]:
    """Return a panel for everything that some run measured of its network, in the order it was logged."""
    runs = [run.record for group in analysis.groups for run in group.runs]
    names = dict.fromkeys(name for run in runs for name in run.plasticity)
    return [
        Panel(
            title=name.replace("_", " ").replace("/layer", ", layer "),
            unit=_plasticity_unit(name),
            bands=[plasticity_band(group, name) for group in analysis.groups],
            shaded=[],
            dashed=False,
        )
        for name in names
    ]


def _plasticity_unit(name: str) -> str:
    return "share of units" if name.startswith("dormant_fraction") else name.partition("/")[0].replace("_", " ")


def _regions(analysis: Analysis, task: int) -> list[tuple[float, float]]:
    """Return when the run that came furthest trained on a task; runs overshoot a budget by less than a collection."""
    runs = [run.record for group in analysis.groups for run in group.runs]
    furthest = max(runs, key=lambda run: max((visit.start for visit in run.visits), default=0))
    last = max(float(curve.steps[-1]) for curve in furthest.evaluations.values())
    return [
        (visit.start, visit.end if visit.end is not None else last)
        for visit in furthest.visits
        if visit.task == task and (visit.end is not None or last > visit.start)
    ]
