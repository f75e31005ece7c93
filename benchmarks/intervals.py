"""Intervals that several benchmarks give with a mean over seeds, or with a difference of two means."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from scipy import stats

__all__ = ["half_width", "show_difference", "show_mean"]


def half_width(values: Sequence[float], *, confidence: float = 0.95) -> float:
    """Return half the width of Student's interval of the mean of two or more values."""
    quantile = stats.t.ppf((1 + confidence) / 2, len(values) - 1)
    return float(quantile * statistics.stdev(values) / math.sqrt(len(values)))


def show_mean(values: Sequence[float]) -> str:
    """Return the mean with the 95 percent interval of Student's t, as text."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.2f} (1 run)"
    half = half_width(values)
    return f"{mean:.2f} ({mean - half:.2f} to {mean + half:.2f})"


def show_difference(first: Sequence[float], second: Sequence[float]) -> str:
    """Return the difference of means with Welch's 95 percent interval, as text."""
    difference = statistics.mean(first) - statistics.mean(second)
    if min(len(first), len(second)) < 2:
        return f"{difference:.3f} (too few runs for an interval)"
    interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    return f"{difference:.3f} ({interval.low:.3f} to {interval.high:.3f}; {len(first)} and {len(second)})"
