"""Curves of several runs as one: their mean at each step, and the interval it lies in.

Letters in shapes: R runs, G steps of a common grid, K evaluations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import stats

from crl_report.analysis import Analysis, GroupAnalysis, RunAnalysis
from crl_report.records import Curve, Floats

__all__ = ["CONFIDENCE", "Band", "average_band", "band", "plasticity_band", "task_band"]

CONFIDENCE = 0.95

_MOST_STEPS = 1000  # more than a figure has pixels


@dataclass(frozen=True)
class Band:
    """A mean curve.

    Attributes:
        steps: float64 `[G]`.
        mean: float64 `[G]`, over the runs that reached a step.
        low: float64 `[G]`, the lower end of Student's interval; the mean where only one run reached the step.
        high: float64 `[G]`, the upper end.
        runs: int64 `[G]`, how many reached it.
    """

    steps: Floats
    mean: Floats
    low: Floats
    high: Floats
    runs: npt.NDArray[np.int64]


def band(curves: Sequence[Curve], *, until: float = math.inf) -> Band:
    """Return the mean over curves of what each is at a step, on straight lines between its evaluations.

    Args:
        curves: one for each run.
        until: the step at which the band ends, if it gets so far.
    """
    grid = np.unique(np.concatenate([curve.steps for curve in curves]))
    grid = grid[grid <= until]
    if len(grid) > _MOST_STEPS:
        grid = np.linspace(grid[0], grid[-1], _MOST_STEPS)
    values = np.array([np.interp(grid, curve.steps, curve.values, left=np.nan, right=np.nan) for curve in curves])
    runs = np.isfinite(values).sum(axis=0)
    reached = runs > 0  # between curves that do not overlap there is nothing
    grid, values, runs = grid[reached], values[:, reached], runs[reached]
    mean = np.nanmean(values, axis=0)
    several = runs > 1
    spread = np.zeros_like(mean)
    spread[several] = np.nanstd(values[:, several], axis=0, ddof=1) / np.sqrt(runs[several])
    half = spread * stats.t.ppf((1 + CONFIDENCE) / 2, np.maximum(runs - 1, 1))
    return Band(grid, mean, mean - half, mean + half, runs)


def task_band(group: GroupAnalysis, task: int) -> Band | None:
    """Return a group's band for a task, or None if no run evaluated it."""
    return _group_band(group, lambda run: run.curves.get(task))


def plasticity_band(group: GroupAnalysis, name: str, *, most: float) -> Band | None:
    """Return a group's band of something measured of its networks, or None if no run measured it.

    Nothing of it is below 0 or above `most`, so the interval ends there.
    """
    made = _group_band(group, lambda run: run.record.plasticity.get(name))
    return made and replace(made, low=made.low.clip(0.0, most), high=made.high.clip(0.0, most))


def average_band(analysis: Analysis, group: GroupAnalysis) -> Band | None:
    """Return a group's band of the mean over tasks of R_i / s_i, from the runs that evaluated all tasks."""
    return _group_band(group, lambda run: _average(run, analysis.scaled, group.scales))


def _group_band(group: GroupAnalysis, curve_of: Callable[[RunAnalysis], Curve | None]) -> Band | None:
    """Return the band of the runs that have a curve, up to the first end of a run that has come to its end.

    Runs overshoot their budgets, each a little differently: beyond that step the mean would be of other runs.
    """
    found = {run.record.source: (run, curve) for run in group.runs if (curve := curve_of(run)) is not None}
    ends = [float(curve.steps[-1]) for run, curve in found.values() if run.record.finished]
    return band([curve for _, curve in found.values()], until=min(ends, default=math.inf)) if found else None


def _average(run: RunAnalysis, tasks: Sequence[int], scales: Mapping[int, float]) -> Curve | None:
    curves = {i: run.curves[i] for i in tasks if i in run.curves}
    if not curves or len(curves) < len(tasks):
        return None
    steps = np.unique(np.concatenate([curve.steps for curve in curves.values()]))
    begin, end = max(c.steps[0] for c in curves.values()), min(c.steps[-1] for c in curves.values())
    steps = steps[(steps >= begin) & (steps <= end)]
    if not len(steps):
        return None
    divided = [np.interp(steps, curve.steps, curve.values) / scales[i] for i, curve in curves.items()]
    return Curve(steps, np.mean(divided, axis=0))
