"""The checks of a runner: those of the core pass them, and one that is broken in one place is told by its check."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from crl_core.rollout import Rollout
from crl_core.runners.base import CollectedData
from crl_core.runners.batch import BatchRunner
from crl_core.testing import parametrize_runner_checks, runner_checks
from crl_core.testing import runners as module
from crl_core.testing.checks import run_check, select


@parametrize_runner_checks("batch")
def test_batch(check: Callable[[], None]) -> None:
    check()


@parametrize_runner_checks("batch", options={"num_steps": None})
def test_batch_of_whole_episodes(check: Callable[[], None]) -> None:
    check()


@parametrize_runner_checks("sync")
def test_sync(check: Callable[[], None]) -> None:
    check()


@parametrize_runner_checks("full_parallel")
def test_full_parallel(check: Callable[[], None]) -> None:
    check()


class Changing(BatchRunner):
    """Hands over something else than was played."""

    def change(self, rollout: Rollout) -> dict[str, Any]:
        return {}

    def collect_data(self) -> CollectedData:
        data = super().collect_data()
        return replace(data, rollouts=[replace(rollout, **self.change(rollout)) for rollout in data.rollouts])


class ShiftsRewards(Changing):
    def change(self, rollout: Rollout) -> dict[str, Any]:
        rewards = rollout.rewards.roll(1, 0)
        keep = torch.cat([rollout.last_rewards[:1], rewards * rollout.valid])
        return {"rewards": rewards, "last_rewards": keep}


class ShiftsExtras(Changing):
    def change(self, rollout: Rollout) -> dict[str, Any]:
        return {"extras": {name: value.roll(1, 0) for name, value in rollout.extras.items()}}


class MixesColumns(Changing):
    def change(self, rollout: Rollout) -> dict[str, Any]:
        observations = rollout.observations.clone()
        observations[-1] = observations[-1].flip(0)
        return {"observations": observations}


class TakesTruncationForTermination(Changing):
    def change(self, rollout: Rollout) -> dict[str, Any]:
        nothing = torch.zeros_like(rollout.truncated)
        return {"terminated": rollout.terminated | rollout.truncated, "truncated": nothing}


class CallsResetsValid(Changing):
    def change(self, rollout: Rollout) -> dict[str, Any]:
        carried = {
            "last_actions": torch.cat([rollout.last_actions[:1], rollout.actions]),
            "last_rewards": torch.cat([rollout.last_rewards[:1], rollout.rewards]),
        }
        return {"valid": torch.ones_like(rollout.valid), **carried}


class NamesAnotherTask(Changing):
    def change(self, rollout: Rollout) -> dict[str, Any]:
        return {"task_id": ("another",) * rollout.num_columns}


class CountsResets(Changing):
    def collect_data(self) -> CollectedData:
        data = super().collect_data()
        return replace(data, steps=data.steps + 1)


class LosesEpisodes(Changing):
    def collect_data(self) -> CollectedData:
        data = super().collect_data()
        return replace(data, episodes=data.episodes[1:])


class SeedsAllAlike(Changing):
    def __init__(self, policy: Any, task: Any, **options: Any) -> None:
        super().__init__(policy, type("Alike", (type(task),), {"make_envs": self.make_envs})(), **options)

    @staticmethod
    def make_envs(task: Any, num_envs: int, *, seeds: Any, evaluation: bool) -> Any:
        return super(type(task), task).make_envs(num_envs, seeds=seeds[:1].repeat(num_envs), evaluation=evaluation)


class NeverRefreshes(Changing):
    def __init__(self, policy: Any, task: Any, **options: Any) -> None:
        super().__init__(policy.acting_copy(seed=0), task, **options)

    def change(self, rollout: Rollout) -> dict[str, Any]:
        return {"policy_version": torch.zeros_like(rollout.policy_version)}


class EvaluatesForTraining(Changing):
    def __init__(self, policy: Any, task: Any, *, eval_mode: bool, **options: Any) -> None:
        super().__init__(policy, task, eval_mode=False, **options)


class LeavesAThread(Changing):
    stop = threading.Event()

    def collect_data(self) -> CollectedData:
        threading.Thread(target=self.stop.wait, args=(60,), name="left-behind", daemon=True).start()
        return super().collect_data()


class ClosesOnce(Changing):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise ValueError("closed already")
        self.closed = True
        super().close()


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("rows_aligned", ShiftsRewards, "rewards\\[t\\] is not what actions\\[t\\] got"),
        ("rows_aligned", ShiftsExtras, "extras\\['seen'\\]\\[t\\] is not of observations\\[t\\]"),
        ("rows_aligned", MixesColumns, "observations\\[t \\+ 1\\] is not what|mixes environments"),
        ("ends_told", TakesTruncationForTermination, "terminated is not what the environment said"),
        ("ends_told", CallsResetsValid, "valid is not false exactly where"),
        ("rollouts_valid", NamesAnotherTask, "where 'trace' was played"),
        ("steps_and_episodes", CountsResets, "rows are valid"),
        ("steps_and_episodes", LosesEpisodes, "whole episodes"),
        ("streams_differ", SeedsAllAlike, "2 environments played 1 different streams"),
        ("newest_weights", NeverRefreshes, "still acts with the first weights"),
        ("evaluation_keeps_no_rollouts", EvaluatesForTraining, "collect_data returned rollouts"),
        ("closes", LeavesAThread, "after close\\(\\) there are still: left-behind"),
        ("closes", ClosesOnce, "raised ValueError: closed already"),
    ],
)
def test_a_fault_is_told_by_its_check(
    name: str, kind: type[BatchRunner], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        module,
        "make_runner",
        lambda name, policy, task, *, options, **fixed: kind(policy, task, **fixed, **options),
    )
    monkeypatch.setattr(module, "_STOP_SECONDS", 0.2)
    (check,) = select(runner_checks("batch", {}), [name])
    LeavesAThread.stop.clear()

    result = run_check(check)
    LeavesAThread.stop.set()

    assert result.outcome == "failed"
    assert re.search(message, result.message), result.message
