"""The fakes: what they refuse, and that they work with sound counterparts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.crl_core.testing import broken_policies as broken
from tests.crl_core.testing.actor_critic import ActorCritic, registered
from tests.crl_core.testing.actor_critic_config import ActorCriticConfig

from crl_core.errors import PluginError
from crl_core.policy import Policy, TimestepData
from crl_core.rollout import Rollout
from crl_core.testing.checks import CheckFailure
from crl_core.testing.cue_task import CueTask
from crl_core.testing.fakes import FakePolicy, FakeRunner
from crl_core.testing.policy_subject import PolicySubject, collect, progress
from crl_core.testing.sources import policy_source

TASK = CueTask()


def played(task: CueTask = TASK, count: int = 2) -> list[Rollout]:
    policy = FakePolicy.for_task(task, num_envs=4, num_steps=6)
    return [rollout for rollouts in collect(policy, task, count=count) for rollout in rollouts]


def train(rollout: Rollout) -> None:
    policy = FakePolicy.for_task(TASK)
    assert policy.train([rollout], progress=progress(0, 100)) == {"updates": 1.0}


@pytest.mark.parametrize("task", [TASK, CueTask(num_actions=0), CueTask(observations="vector")], ids=str)
def test_a_fake_policy_takes_what_a_sound_runner_collects(task: CueTask) -> None:
    policy = FakePolicy.for_task(task, num_envs=4, num_steps=6)

    for rollouts in collect(policy, task, count=2):
        policy.train(rollouts, progress=progress(0, 100))

    assert policy.updates == 2


def shifted(rollout: Rollout) -> dict[str, Any]:
    return {"last_rewards": rollout.last_rewards.roll(-1, 0)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: {"rewards": r.rewards.double()}, "rollout.rewards is torch.float64"),
        (lambda r: {"observations": r.observations[1:]}, "rollout.observations is"),
        (lambda r: {"last_actions": r.last_actions[:-1]}, "rollout.last_actions is"),
        (lambda r: {"extras": {"seen": r.rewards[0]}}, "extras\\['seen'\\] has shape"),
        (lambda r: {"num_actions": r.num_actions + 1}, "num_actions is \\[4, 4, 4, 4\\]"),
        (lambda r: {"task_id": r.task_id[1:]}, "names 3 of 4 columns"),
        (lambda r: {"valid": torch.zeros_like(r.valid)}, "is also terminated or truncated"),
        (shifted, "rollout.last_rewards\\[\\d+, \\d+\\] is"),
    ],
)
def test_a_fake_policy_refuses_a_rollout_that_is_not_one(change: Any, message: str) -> None:
    (rollout, *_) = played()
    train(rollout)

    with pytest.raises(CheckFailure, match=message):
        train(replace(rollout, **change(rollout)))


@pytest.mark.parametrize(
    ("observations", "last", "message"),
    [
        (torch.zeros(2, 1, 6, 6), None, "are no torch.uint8 tensor"),
        (torch.zeros(2, 6, 6, dtype=torch.uint8), None, "are no torch.uint8 tensor"),
        (None, TimestepData(actions=torch.zeros(2)), "was given a TimestepData as last_timestep_data"),
        (None, "unfilled", "last_timestep_data.rewards is not filled in"),
    ],
)
def test_a_fake_policy_refuses_arguments_that_a_runner_should_not_give(
    observations: Any, last: Any, message: str
) -> None:
    policy = FakePolicy.for_task(TASK)
    shown = torch.zeros(2, 1, 6, 6, dtype=torch.uint8)
    unfilled = policy.compute_action(shown, TASK, None, eval_mode=False)

    with pytest.raises(CheckFailure, match=message):
        policy.compute_action(
            shown if observations is None else observations,
            TASK,
            unfilled if last == "unfilled" else last,
            eval_mode=False,
        )


def policy_of(kind: type[Policy[Any]], directory: Any) -> Policy[Any]:
    source = policy_source(registered(kind, ActorCriticConfig), {})
    return PolicySubject(source, directory).make(TASK)


def test_a_fake_runner_plays_back_what_happened_with_the_policys_own_actions(tmp_path: Any) -> None:
    first, second = played()
    runner = FakeRunner(policy_of(ActorCritic, tmp_path), TASK, [first, second])

    collected = [runner.collect_data().rollouts[0] for _ in range(3)]

    assert torch.equal(collected[0].observations, first.observations)
    assert torch.equal(collected[1].rewards, second.rewards)
    assert torch.equal(collected[2].observations, first.observations)
    assert set(collected[0].extras) == {"samples", "values"}
    assert torch.equal(collected[0].extras["samples"], collected[0].actions)
    assert not collected[0].last_actions[0].any()
    assert torch.equal(collected[1].last_actions[0], collected[0].actions[-1] * collected[0].valid[-1])
    train(collected[1])


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        (broken.StacksNothing, CheckFailure, "values has shape \\(\\) for 4 observations"),
        (broken.SaysNothingOfItsActions, PluginError, "where a TimestepData was expected"),
        (broken.KeepsItsGraph, CheckFailure, "requires_grad is True"),
        (broken.GivesArrays, CheckFailure, "values is a ndarray, not a tensor"),
    ],
)
def test_a_fake_runner_refuses_what_cannot_be_stacked(
    kind: type[Policy[Any]], error: type[Exception], message: str, tmp_path: Any
) -> None:
    runner = FakeRunner(policy_of(kind, tmp_path), TASK, played())

    with pytest.raises(error, match=message):
        runner.collect_data()


def test_a_fake_policy_acts_inside_a_box() -> None:
    policy = FakePolicy.for_task(CueTask(num_actions=0))
    data = policy.compute_action(torch.zeros(50, 1, 6, 6, dtype=torch.uint8), TASK, None, eval_mode=False)

    assert data.actions.shape == (50, 1)
    assert np.abs(data.actions.numpy()).max() <= 1
