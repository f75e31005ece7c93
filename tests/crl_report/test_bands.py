"""Mean curves with their intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crl_report.analysis import analyse
from crl_report.bands import band, task_band
from crl_report.groups import group_runs
from crl_report.reading import read_run
from crl_report.records import Curve
from crl_report.style import Panel, make_figures


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


def test_a_band_of_finished_runs_ends_where_the_first_of_them_does(make_run: Any) -> None:
    visits = ((0, 0, 0, 20), (0, 1, 20, 40))
    runs = [
        make_run("0", {0: {0: 0.0, 20: 1.0, 40: 5.0}}, visits=visits),
        make_run("1", {0: {0: 0.0, 20: 1.0, 44: 9.0}}, visits=visits, seed=1),
    ]
    analysis = analyse(group_runs([read_run(run) for run in runs]), window=1)
    made = task_band(analysis.groups[0], 0)
    assert made is not None
    assert made.steps.tolist() == [0, 20, 40]
    assert made.mean[-1] == pytest.approx((5 + 1 + 8 * 20 / 24) / 2)
    assert made.runs.tolist() == [2, 2, 2]


def test_the_axis_has_the_intervals_of_three_runs_and_the_bounds_of_shares(make_run: Any) -> None:
    shares = [
        read_run(make_run(str(seed), {0: {0: 0.0}}, seed=seed, plasticity={"dormant_fraction": {10: share}}))
        for seed, share in enumerate([0.0, 0.5, 1.0])
    ]
    (panel,) = make_figures(analyse(group_runs(shares), window=1))["plasticity"]
    (share,) = panel.bands
    assert share is not None
    assert (share.low[0], share.mean[0], share.high[0]) == (0.0, 0.5, 1.0)
    assert panel.limits() == (pytest.approx(-0.1), pytest.approx(1.1))
    three = band([curve([0], [0.0]), curve([0], [0.5]), curve([0], [1.0])])
    low, high = Panel("return", "return", [three], [], dashed=False).limits()
    assert low < three.low[0] < three.high[0] < high
    two = band([curve([0, 1], [0.0, 1.0]), curve([0, 1], [1.0, 2.0])])
    assert Panel("return", "return", [two], [], dashed=False).limits() == (pytest.approx(0.4), pytest.approx(1.6))


def test_long_curves_are_drawn_with_a_thousand_steps() -> None:
    steps = list(map(float, range(5000)))
    made = band([curve(steps, steps)])
    assert len(made.steps) == 1000
    assert made.mean[-1] == 4999
