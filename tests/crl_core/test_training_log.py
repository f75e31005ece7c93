"""Rows of means, at steps that depend on nothing but steps."""

from __future__ import annotations

import json

import numpy as np
import torch

from crl_core.runners.base import Episode
from crl_core.training_log import TrainingLog


def episodes(*returns: float) -> list[Episode]:
    return [Episode(0, each, 1) for each in returns]


def test_a_row_holds_means_since_the_last_one_and_the_mean_of_the_last_returns() -> None:
    log = TrainingLog(1000)
    log.start_task(rolling_return_count=3)
    log.add({"loss": 1.0, "entropy": 0.5}, episodes(10, 1))
    log.add({"loss": 3.0}, episodes(2, 3))
    assert log.take(10, task=4) == {"loss": 2.0, "entropy": 0.5, "train_reward/4": 2.0}
    log.add({"loss": 5.0}, [])
    assert log.take(20, task=4) == {"loss": 5.0, "train_reward/4": 2.0}


def test_figures_of_numpy_and_torch_become_plain_numbers() -> None:
    log = TrainingLog(1000)
    log.add({"loss": np.float32(0.5), "norm": torch.tensor(2.0)}, [])  # type: ignore[dict-item]  # as policies have it

    assert json.dumps(log.take(1000, task=0)) == '{"loss": 0.5, "norm": 2.0}'


def test_a_new_task_starts_without_the_returns_of_the_one_before() -> None:
    log = TrainingLog(1000)
    log.start_task(2)
    log.add({"loss": 1.0}, episodes(5))
    log.take(10, task=0)
    log.start_task(2)
    log.add({"loss": 1.0}, [])
    assert log.take(20, task=1) == {"loss": 1.0}


def test_rows_are_due_by_steps_few_enough_in_any_run() -> None:
    for steps, row in ((100, 1), (20_000, 10), (1_000_000_000, 10_000)):
        log = TrainingLog(steps)
        log.start_task(1)
        assert not log.due(row - 1)
        assert log.due(row)
        log.take(row, task=0)
        assert not log.due(2 * row - 1)
        assert log.due(2 * row)


def test_there_is_something_pending_only_after_an_update() -> None:
    log = TrainingLog(1000)
    log.start_task(1)
    assert not log.pending()
    log.add({"loss": 1.0}, [])
    assert log.pending()
    log.take(1, task=0)
    assert not log.pending()


def test_state_survives_as_json_and_goes_on_as_if_nothing_had_happened() -> None:
    log = TrainingLog(100_000)
    log.start_task(3)
    log.add({"loss": 1.0}, episodes(1, 2))
    log.take(50, task=0)
    log.add({"loss": 7.0}, episodes(3))

    resumed = TrainingLog(100_000)
    resumed.load_state_dict(json.loads(json.dumps(log.state_dict())))
    resumed.resume_task(3)

    for each in (log, resumed):
        each.add({"loss": 8.0}, episodes(4, 5))
    assert resumed.due(99) is log.due(99) is False
    assert resumed.due(100) is log.due(100) is True
    assert resumed.take(100, task=0) == log.take(100, task=0) == {"loss": 7.5, "train_reward/0": 4.0}


def test_a_state_taken_earlier_does_not_change_any_more() -> None:
    log = TrainingLog(1000)
    log.start_task(3)
    log.add({"loss": 1.0}, episodes(1))
    before = json.dumps(state := log.state_dict())
    log.take(10, task=0)
    log.add({"loss": 2.0}, episodes(2))
    assert json.dumps(state) == before
