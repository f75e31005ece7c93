"""Mean curves with their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from crl_report.bands import band
from crl_report.records import Curve


def curve(steps: list[float], values: list[float]) -> Curve:
    return Curve(np.array(steps, np.float64), np.array(values, np.float64))


def test_runs_meet_on_straight_lines_between_their_evaluations() -> None:
    made = band([curve([0, 10], [0, 10]), curve([0, 5, 10], [2, 2, 2])])
    assert made.steps.tolist() == [0, 5, 10]
    assert made.mean.tolist() == [1, 3.5, 6]
    assert made.runs.tolist() == [2, 2, 2]


def test_the_interval_is_students() -> None:
    made = band([curve([0], [1.0]), curve([0], [2.0]), curve([0], [3.0])])
    half = 4.302652729911275 / np.sqrt(3)  # the 97.5 percent quantile for 2 degrees of freedom, times 1 / sqrt(3)
    assert made.low[0] == pytest.approx(2 - half)
    assert made.high[0] == pytest.approx(2 + half)


def test_where_a_run_has_ended_the_others_go_on() -> None:
    made = band([curve([0, 10], [0, 10]), curve([0, 20], [4, 4])])
    assert made.runs.tolist() == [2, 2, 1]
    assert made.mean.tolist() == [2, 7, 4]
    assert made.low[-1] == made.high[-1] == 4


def test_long_curves_are_drawn_with_a_thousand_steps() -> None:
    steps = list(map(float, range(5000)))
    made = band([curve(steps, steps)])
    assert len(made.steps) == 1000
    assert made.mean[-1] == 4999
