"""Continual learning in numbers: pure functions of evaluation curves. docs/metrics.md has the formulas and sources.

Letters in shapes: K evaluations, R runs, N tasks, B bootstrap samples. A value that cannot be computed, because an
evaluation or an end of a task is missing, is NaN, and means leave it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from crl_report.records import Curve, Floats, Visit

__all__ = [
    "Estimate",
    "Interval",
    "area_under_curve",
    "bootstrap_interval",
    "final_return",
    "forgetting",
    "forward_transfer",
    "human_normalized",
    "interquartile_mean",
    "is_covered",
    "isolated_forgetting",
    "mean_and_error",
    "scale",
    "stratified_bootstrap",
    "trailing_mean",
    "value_at",
    "zero_shot_transfer",
]


class Interval(NamedTuple):
    """A figure, the interval it lies in, which one run alone does not have (NaN), and the number of runs."""

    value: float
    low: float
    high: float
    runs: int


class Estimate(NamedTuple):
    """A mean over runs, its standard error, which one run alone does not have (NaN), and the number of runs."""

    mean: float
    error: float
    runs: int


def trailing_mean(curve: Curve, window: int) -> Curve:
    """Return the mean of each evaluation and those before it, `window` of them at most."""
    values = curve.values
    beginning = [values[: end + 1].mean() for end in range(min(window - 1, len(values)))]
    rest = np.lib.stride_tricks.sliding_window_view(values, window).mean(axis=1) if len(values) >= window else []
    return Curve(curve.steps, np.concatenate([beginning, rest]))


def value_at(curve: Curve, step: float) -> float:
    """Return the value of the last evaluation at or before a step; NaN if there is none, or it is too long ago."""
    index = int(np.searchsorted(curve.steps, step, side="right"))
    if not index or step - curve.steps[index - 1] > _largest_distance(curve):
        return float("nan")
    return float(curve.values[index - 1])


def is_covered(curve: Curve, start: float, end: float) -> bool:
    """Whether a curve begins and ends where these steps do, give or take a distance between its evaluations."""
    distance = _largest_distance(curve)
    return bool(len(curve.steps)) and curve.steps[0] - start <= distance and end - curve.steps[-1] <= distance


def _largest_distance(curve: Curve) -> float:
    """Return how long ago an evaluation may be that still counts: one and a half of the usual distances."""
    return 1.5 * float(np.median(np.diff(curve.steps))) if len(curve.steps) > 1 else 0.0


def scale(curves: Sequence[Curve]) -> float:
    """Return s = max |R| over curves of one task, what its returns are divided by; NaN where all of them are 0."""
    largest = max((float(np.abs(curve.values).max()) for curve in curves if len(curve.values)), default=0.0)
    return largest or float("nan")


def isolated_forgetting(curve: Curve, task: int, visits: Sequence[Visit], scale: float) -> dict[tuple[int, int], float]:
    """Return CORA's isolated forgetting of a task, by cycle c and the task j that was trained (Powers et al., 2022).

        F[i, j, c] = (R_i just before task j of cycle c starts - R_i at its end) / s_i

    for j > i in cycle 0, where i was not trained before, and every j in later ones.

    Args:
        curve: R_i, smoothed.
        task: i.
        visits: all visits of the run.
        scale: s_i.
    """
    return {
        (visit.cycle, visit.task): -_change(curve, visit, scale)
        for visit in visits
        if visit.cycle > 0 or visit.task > task
    }


def zero_shot_transfer(curve: Curve, task: int, visits: Sequence[Visit], scale: float) -> dict[int, float]:
    """Return CORA's isolated zero-shot forward transfer to a task, by the task j < i that was trained in cycle 0.

        Z[i, j] = (R_i at the end of task j - R_i just before it starts) / s_i

    The arguments are those of `isolated_forgetting`.
    """
    return {visit.task: _change(curve, visit, scale) for visit in visits if visit.cycle == 0 and visit.task < task}


def _change(curve: Curve, visit: Visit, scale: float) -> float:
    inside = (curve.steps > visit.start) & (curve.steps <= visit.end) if visit.end is not None else np.zeros(1, bool)
    if visit.end is None or not inside.any():  # an older value would tell nothing of this training
        return float("nan")
    return (value_at(curve, visit.end) - value_at(curve, visit.start)) / scale


def final_return(curve: Curve) -> float:
    """Return the last value; NaN if there is none."""
    return float(curve.values[-1]) if len(curve.values) else float("nan")


def area_under_curve(curve: Curve, start: float, end: float) -> float:
    """Return the mean height of the curve between two steps, by the trapezoidal rule.

    Between evaluations the curve is a straight line; before the first and after the last it is as high as there, for
    which the curve has to cover these steps (`is_covered`), else the area is NaN.
    """
    if end <= start or not is_covered(curve, start, end):
        return float("nan")
    inside = (curve.steps > start) & (curve.steps < end)
    steps = np.concatenate([[start], curve.steps[inside], [end]])
    heights = np.interp(steps, curve.steps, curve.values)
    return float(np.trapezoid(heights, steps) / (end - start))


def forgetting(curve: Curve, visits: Sequence[Visit], task: int) -> float:
    """Return Continual World's forgetting of a task: its value when training on it last ended, less the final one.

    F_i = p_i(end of the last training on i) - p_i(end of the run)    (Wolczyk et al., 2021, section 4)
    """
    ends = [visit.end for visit in visits if visit.task == task and visit.end is not None]
    return value_at(curve, ends[-1]) - final_return(curve) if ends else float("nan")


def forward_transfer(area: float, alone: float) -> float:
    """Return Continual World's forward transfer to a task, against training on it alone (section 4 of the paper).

        FT_i = (AUC_i - AUC_i^b) / (1 - AUC_i^b)

    NaN where the reference is perfect from the start.

    Args:
        area: AUC_i, the mean height of the task's curve, whose values are at most 1, over its first training.
        alone: AUC_i^b, that of reference runs b that trained on nothing else.
    """
    return (area - alone) / (1 - alone) if alone < 1 else float("nan")


def mean_and_error(values: Iterable[float]) -> Estimate:
    """Return the mean over runs and its standard error (ddof 1); runs without a value (NaN) do not count."""
    known = np.array([value for value in values if np.isfinite(value)])
    if not len(known):
        return Estimate(float("nan"), float("nan"), 0)
    error = float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else float("nan")
    return Estimate(float(known.mean()), error, len(known))


def interquartile_mean(scores: Floats) -> float:
    """Return the mean of the middle half of all scores, of whatever shape (Agarwal et al., 2021).

    A quarter of the scores is cut from either end; where that is no whole number, one more counts for its rest.
    """
    known = np.sort(scores[np.isfinite(scores)], axis=None)
    count = len(known)
    if not count:
        return float("nan")
    edges = np.arange(count + 1, dtype=np.float64)
    overlap = np.clip(np.minimum(edges[1:], 0.75 * count) - np.maximum(edges[:-1], 0.25 * count), 0.0, None)
    return float((known * overlap).sum() / overlap.sum())


def stratified_bootstrap(
    scores: Floats,
    statistic: Callable[[Floats], float],
    *,
    confidence: float = 0.95,
    samples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return a statistic of scores `[R, N]` and its percentile interval, the runs of each task drawn anew each time.

    Stratified, as tasks are no sample of anything: in every draw each task has as many runs as it has (Agarwal et al.,
    2021, section 4.1).
    """
    rng = np.random.default_rng(seed)
    num_runs, num_tasks = scores.shape
    drawn = [
        statistic(np.take_along_axis(scores, rng.integers(num_runs, size=(num_runs, num_tasks)), axis=0))
        for _ in range(samples if num_runs > 1 else 0)
    ]
    return _interval(statistic(scores), drawn, confidence, num_runs)


def bootstrap_interval(
    values: Iterable[float], *, confidence: float = 0.9, samples: int = 10_000, seed: int = 0
) -> Interval:
    """Return the mean over runs and its percentile bootstrap interval, 90 percent as in Continual World."""
    known = np.array([value for value in values if np.isfinite(value)])
    if not len(known):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    rng = np.random.default_rng(seed)
    drawn = rng.choice(known, size=(samples if len(known) > 1 else 0, len(known))).mean(axis=1)
    return _interval(float(known.mean()), drawn.tolist(), confidence, len(known))


def human_normalized(score: float, *, random: float, human: float) -> float:
    """Return where a score lies between random play, 0, and a human's, 1 (Mnih et al., 2015)."""
    return (score - random) / (human - random)


def _interval(value: float, drawn: Sequence[float], confidence: float, runs: int) -> Interval:
    known = [each for each in drawn if np.isfinite(each)]
    if not known:
        return Interval(value, float("nan"), float("nan"), runs)
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high), runs)
