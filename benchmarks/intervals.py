"""Student's interval, which several benchmarks give with a mean over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from scipy import stats

__all__ = ["half_width"]


def half_width(values: Sequence[float], *, confidence: float = 0.95) -> float:
    """Return half the width of Student's interval of the mean of two or more values."""
    quantile = stats.t.ppf((1 + confidence) / 2, len(values) - 1)
    return float(quantile * statistics.stdev(values) / math.sqrt(len(values)))
