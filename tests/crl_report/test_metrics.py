"""Every metric on curves worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crl_report import metrics
from crl_report.metrics import Estimate
from crl_report.records import Curve, Visit


def curve(values: dict[int, float]) -> Curve:
    return Curve(np.array(list(values), np.float64), np.array(list(values.values()), np.float64))


TWO = [Visit(0, 0, 0, 20), Visit(0, 1, 20, 40)]
TWO_CYCLES = [*TWO, Visit(1, 0, 40, 60), Visit(1, 1, 60, 80)]


def test_a_trailing_mean_takes_what_there_is_at_the_beginning() -> None:
    smoothed = metrics.trailing_mean(curve({0: 1, 10: 3, 20: 5, 30: 9}), 2)
    assert smoothed.values.tolist() == [1, 2, 4, 7]
    assert smoothed.steps.tolist() == [0, 10, 20, 30]


def test_a_trailing_mean_forgets_what_left_its_window() -> None:
    assert metrics.trailing_mean(curve({0: 1e17, 1: 1, 2: 1}), 1).values.tolist() == [1e17, 1, 1]
    assert metrics.trailing_mean(curve({0: 2, 1: 4}), 5).values.tolist() == [2, 3]


def test_the_value_at_a_step_is_the_last_evaluation_not_after_it() -> None:
    returns = curve({10: 1, 20: 2})
    assert metrics.value_at(returns, 20) == 2
    assert metrics.value_at(returns, 19) == 1
    assert math.isnan(metrics.value_at(returns, 9))


def test_isolated_forgetting_is_the_loss_during_one_training() -> None:
    returns = curve({0: 0, 10: 5, 20: 10, 30: 6, 40: 4})
    assert metrics.isolated_forgetting(returns, 0, TWO, 10.0) == {(0, 1): pytest.approx(0.6)}  # (10 - 4) / 10


def test_a_task_cannot_be_forgotten_before_it_was_trained_but_in_later_cycles_by_itself_too() -> None:
    returns = curve({0: 0, 20: 1, 40: 8, 60: 5, 80: 9})
    assert metrics.isolated_forgetting(returns, 1, TWO_CYCLES, 10.0) == {
        (1, 0): pytest.approx(0.3),  # (8 - 5) / 10
        (1, 1): pytest.approx(-0.4),  # (5 - 9) / 10
    }


def test_ends_that_overshoot_the_budget_count_where_they_were() -> None:
    returns = curve({0: 0, 23: 10, 30: 9, 45: 2})
    visits = [Visit(0, 0, 0, 23), Visit(0, 1, 23, 45)]
    assert metrics.isolated_forgetting(returns, 0, visits, 10.0) == {(0, 1): pytest.approx(0.8)}  # (10 - 2) / 10


def test_an_interrupted_training_has_no_forgetting() -> None:
    returns = curve({0: 0, 20: 10, 30: 9})
    visits = [Visit(0, 0, 0, 20), Visit(0, 1, 20, None)]
    assert math.isnan(metrics.isolated_forgetting(returns, 0, visits, 10.0)[0, 1])


def test_an_evaluation_long_before_a_boundary_says_nothing_of_it() -> None:
    times = [*range(0, 31, 10), *range(100, 201, 10)]  # those from 40 to 90 are lost
    returns = curve({step: float(step) for step in times})
    visits = [Visit(0, 0, 0, 60), Visit(0, 1, 60, 200)]
    assert math.isnan(metrics.isolated_forgetting(returns, 0, visits, 200.0)[0, 1])
    assert metrics.value_at(returns, 45) == 30  # one and a half of the usual distances before
    assert math.isnan(metrics.value_at(returns, 46))
    early = curve({0: 0, 10: 1, 20: 2, 21: 3})
    assert math.isnan(metrics.isolated_forgetting(early, 0, TWO, 3.0)[0, 1])  # 21 is no end of a training up to 40


def test_zero_shot_transfer_begins_at_the_evaluation_before_training() -> None:
    returns = curve({0: 1, 10: 1, 20: 3, 30: 8, 40: 9})
    assert metrics.zero_shot_transfer(returns, 1, TWO, 9.0) == {0: pytest.approx(2 / 9)}  # (3 - 1) / 9


def test_transfer_is_unknown_without_an_evaluation_before_training() -> None:
    assert math.isnan(metrics.zero_shot_transfer(curve({10: 1, 20: 3}), 1, TWO, 9.0)[0])


def test_transfer_to_the_first_task_does_not_exist() -> None:
    assert metrics.zero_shot_transfer(curve({0: 1, 20: 3}), 0, TWO, 9.0) == {}


def test_transfer_counts_in_the_first_cycle_only() -> None:
    returns = curve({0: 0, 20: 1, 40: 8, 60: 5, 80: 9})
    assert set(metrics.zero_shot_transfer(returns, 1, TWO_CYCLES, 9.0)) == {0}


def test_the_scale_of_negative_returns_is_their_size() -> None:
    assert metrics.scale([curve({0: -20, 10: -5}), curve({0: -21})]) == 21


def test_negative_returns_that_fall_are_forgotten() -> None:
    returns = curve({0: -20, 20: -5, 40: -15})
    assert metrics.isolated_forgetting(returns, 0, TWO, 20.0) == {(0, 1): pytest.approx(0.5)}  # (-5 - -15) / 20


def test_returns_of_nothing_but_zero_have_no_scale() -> None:
    assert math.isnan(metrics.scale([curve({0: 0, 10: 0})]))


def test_the_area_is_a_mean_height() -> None:
    returns = curve({0: 0, 10: 10, 20: 10})
    assert metrics.area_under_curve(returns, 0, 20) == pytest.approx(7.5)  # (5 + 10) / 2
    assert metrics.area_under_curve(returns, 5, 15) == pytest.approx((7.5 * 5 + 10 * 5) / 10)
    assert metrics.area_under_curve(returns, 10, 30) == pytest.approx(10)  # goes on at the height of its last value
    assert math.isnan(metrics.area_under_curve(returns, 20, 20))
    assert math.isnan(metrics.area_under_curve(returns, 0, 36))  # nothing is known of most of this
    assert math.isnan(metrics.area_under_curve(curve({60: 1, 70: 2}), 0, 70))


def test_forgetting_of_continual_world_counts_from_the_last_training() -> None:
    returns = curve({0: 0.0, 20: 0.9, 40: 0.2, 60: 0.8, 80: 0.5})
    assert metrics.forgetting(returns, TWO_CYCLES, 0) == pytest.approx(0.3)  # 0.8 at 60, 0.5 in the end
    assert metrics.forgetting(returns, TWO_CYCLES, 1) == pytest.approx(0.0)  # trained last
    assert math.isnan(metrics.forgetting(returns, [Visit(0, 0, 0, None)], 0))


def test_forward_transfer_is_the_share_of_what_the_reference_left_to_gain() -> None:
    assert metrics.forward_transfer(0.75, 0.5) == pytest.approx(0.5)
    assert metrics.forward_transfer(0.25, 0.5) == pytest.approx(-0.5)
    assert math.isnan(metrics.forward_transfer(1.0, 1.0))


def test_a_mean_has_the_error_of_its_runs() -> None:
    assert metrics.mean_and_error([1.0, 3.0, math.nan]) == Estimate(2.0, pytest.approx(1.0), 2)  # sqrt(2) / sqrt(2)


def test_one_run_has_no_error() -> None:
    mean, error, runs = metrics.mean_and_error([4.0])
    assert (mean, runs) == (4.0, 1)
    assert math.isnan(error)


def test_the_interquartile_mean_cuts_a_quarter_at_either_end() -> None:
    assert metrics.interquartile_mean(np.array([[1.0, 100.0], [3.0, 5.0]])) == pytest.approx(4.0)  # of 3 and 5


def test_the_interquartile_mean_takes_parts_of_scores_where_a_quarter_is_no_whole_number() -> None:
    # Of six scores 1.5 are cut at either end: halves of 2 and of 5 count, and 3 and 4 whole.
    assert metrics.interquartile_mean(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 90.0])) == pytest.approx(10.5 / 3)


def test_a_stratified_bootstrap_draws_runs_within_each_task() -> None:
    scores = np.array([[0.0, 10.0], [2.0, 30.0], [4.0, 50.0]])
    draws: list[np.ndarray] = []
    interval = metrics.stratified_bootstrap(scores, lambda drawn: float(draws.append(drawn) or drawn.mean()))
    assert interval.value == pytest.approx(16.0)
    assert all({*drawn[:, 0]} <= {0, 2, 4} and {*drawn[:, 1]} <= {10, 30, 50} for drawn in draws)
    together = sum(bool((drawn[:, 1] == 10 * (1 + drawn[:, 0])).all()) for drawn in draws)
    assert together < len(draws) / 10  # a task's runs are drawn apart from another's


def test_bootstrap_intervals_hold_what_was_seen() -> None:
    interval = metrics.bootstrap_interval([0.0, 1.0, 2.0, 3.0], confidence=0.9)
    assert interval.value == 1.5
    assert 0.0 < interval.low < 1.0
    assert 2.0 < interval.high < 3.0
    assert math.isnan(metrics.bootstrap_interval([1.0]).low)


def test_human_normalized_scores_are_one_for_a_human() -> None:
    assert metrics.human_normalized(30.5, random=1.7, human=30.5) == 1
    assert metrics.human_normalized(1.7, random=1.7, human=30.5) == 0
