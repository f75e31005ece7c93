"""What figures of both kinds, printed and interactive, share: panels, colours, shaded regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crl_report.analysis import Analysis
from crl_report.bands import Band, average_band, plasticity_band, task_band
from crl_report.writing import csv_text

__all__ = ["SHADE", "Panel", "colour", "curves_as_csv", "make_figures"]

# Okabe and Ito's palette, which colour-blind readers can tell apart, without its yellow and black.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F3C8D", "#666666")
SHADE = "#E6E6E6"
_TITLES = {"dormant_fraction": "dormant fraction of all units", "gradient_norm": "gradient norm, after clipping"}
_ROOM = 0.1
_TOO_FEW = 2  # runs, whose interval is 13 standard errors to either side


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
        """Return the vertical axis: room for all that is drawn but the intervals of two runs, which are huge."""
        shown = [np.empty(0)]
        for band in self.bands:
            if band is not None:
                several = band.runs > _TOO_FEW
                shown += [band.mean, band.low[several], band.high[several]]
        values = np.concatenate(shown)
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        room = _ROOM * (high - low) or 1.0
        return low - room, high + room


def colour(index: int) -> str:
    """Return the colour of a group."""
    return _COLOURS[index % len(_COLOURS)]


def make_figures(analysis: Analysis) -> dict[str, list[Panel]]:
    """Return the panels of each figure: `curves`, and `plasticity` where some run measured it."""
    plasticity = _plasticity_panels(analysis)
    return {"curves": _curve_panels(analysis), **({"plasticity": plasticity} if plasticity else {})}


def curves_as_csv(panels: Sequence[Panel], labels: Sequence[str]) -> str:
    """Return what panels draw as CSV, a line for each step of each curve."""
    rows = (
        [panel.title, label, *row]
        for panel in panels
        for label, band in zip(labels, panel.bands, strict=True)
        if band is not None
        for row in zip(band.steps, band.mean, band.low, band.high, band.runs, strict=True)
    )
    return csv_text(["panel", "policy", "step", "mean", "low", "high", "runs"], rows)


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
            title=_TITLES.get(name, name.replace("_", " ").replace("/layer", ", layer ")),
            unit="share of units" if _is_share(name) else name.partition("/")[0].replace("_", " "),
            bands=[plasticity_band(group, name, most=1.0 if _is_share(name) else np.inf) for group in analysis.groups],
            shaded=_every_second_training(analysis),
            dashed=False,
        )
        for name in names
    ]


def _is_share(name: str) -> bool:
    return name.startswith("dormant_fraction")


def _every_second_training(analysis: Analysis) -> list[tuple[float, float]]:
    trainings = sorted(region for task in analysis.trained for region in _regions(analysis, task))
    return trainings[1::2]


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
