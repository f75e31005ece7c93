"""The contract of vector environments: a sound task keeps it, and each way of breaking it is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorWrapper

from crl_core.task import SeededReset
from crl_core.testing import vector_envs
from crl_core.testing.checks import CheckFailure, NotApplicable
from crl_core.testing.cue_task import CueTask
from crl_core.testing.trace_task import TraceTask
from crl_core.testing.vector_envs import check_vector_envs
from crl_core.tutorial import tutorial


class _Changed(VectorWrapper[Any, Any, Any, Any, Any]):
    """Gives something else than the environments do."""

    def __init__(self, envs: Any, change: Any) -> None:
        super().__init__(envs)
        self.change = change

    def step(self, actions: Any) -> Any:
        return self.change(*self.env.step(actions))


class BrokenTask(CueTask):
    """Cues, broken in the way that its id names."""

    def make_envs(self, num_envs: int, *, seeds: Any, evaluation: bool) -> Any:
        same_step = AutoresetMode.SAME_STEP if self.id == "same step" else AutoresetMode.NEXT_STEP
        limited = evaluation and self.id != "no limit"
        envs: Any = SyncVectorEnv([lambda: self.make_env(evaluation=limited)] * num_envs, autoreset_mode=same_step)
        if self.id == "same step":
            envs.metadata = {**envs.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}
        if self.id == "other mode":
            envs.metadata = {**envs.metadata, "autoreset_mode": AutoresetMode.DISABLED}
        if self.id == "other space":
            envs.single_action_space = Discrete(7)
        if self.id in CHANGES:
            envs = _Changed(envs, CHANGES[self.id])
        if self.id == "unseeded":
            return envs
        return _AlwaysSeeded(envs, seeds.tolist()) if self.id == "seeded again" else SeededReset(envs, seeds.tolist())


class _AlwaysSeeded(VectorWrapper[Any, Any, Any, Any, Any]):
    def __init__(self, envs: Any, seeds: Any) -> None:
        super().__init__(envs)
        self.seeds = seeds

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return self.env.reset(seed=self.seeds)


def infos(**flags: Any) -> Any:
    return lambda observations, rewards, terminated, truncated, old: (
        observations,
        rewards,
        terminated,
        truncated,
        {name: flag(terminated | truncated) for name, flag in flags.items()},
    )


CHANGES: dict[str, Any] = {
    "dtype": lambda observations, *rest: (observations.astype(np.float64), *rest),
    "outside": lambda observations, *rest: (observations + np.float32(2), *rest),
    "nan reward": lambda observations, rewards, *rest: (observations, rewards * np.nan, *rest),
    "integer ends": lambda observations, rewards, terminated, *rest: (
        observations,
        rewards,
        terminated.astype(int),
        *rest,
    ),
    "reset pays": lambda observations, rewards, *rest: (observations, rewards + 1, *rest),
    "always reset": infos(is_reset=np.ones_like),
    "over without end": infos(episode_over=np.ones_like),
    "flags as lists": infos(is_reset=list),
}


def broken(fault: str, **fields: Any) -> BrokenTask:
    return BrokenTask(id=fault, observations="vector", **fields)


@pytest.mark.parametrize("task", [CueTask(), CueTask(num_actions=0), TraceTask(), tutorial().tasks[0]], ids=str)
def test_sound_tasks_keep_the_contract(task: Any) -> None:
    check_vector_envs(task)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("other mode", "make the environments with AutoresetMode.NEXT_STEP"),
        ("other space", "the action space of the environments is Discrete\\(7\\)"),
        ("dtype", "are float64 \\(3, 6\\), but the space says float32"),
        ("outside", "lies outside Box"),
        ("nan reward", "3 finite numbers"),
        ("integer ends", "terminated is int64"),
        ("flags as lists", "is_reset is list"),
        ("same step", "the row after an episode's end has a reward or is an end itself"),
        ("reset pays", "the row after an episode's end has a reward"),
        ("always reset", "is_reset'\\] is not true exactly"),
        ("over without end", "episode_over'\\] is true where neither"),
        ("unseeded", "the same seeds and actions gave another trajectory"),
        ("seeded again", "a second reset\\(\\) begins the same episode"),
        ("no limit", "an episode went on past 3 steps"),
    ],
)
def test_each_fault_is_told(fault: str, message: str) -> None:
    lengths = (6, 8) if fault == "no limit" else (1, 4)
    with pytest.raises(CheckFailure, match=message):
        check_vector_envs(broken(fault, episode_lengths=lengths))


def test_the_next_episodes_first_observation_is_not_an_episodes_last() -> None:
    with pytest.raises(CheckFailure, match="true last observation"):
        vector_envs.last_observation(broken("same step"))


def test_episodes_that_never_end_are_said_not_to_have_been_seen() -> None:
    with pytest.raises(NotApplicable, match="not seen: in 1000 steps of 3 environments no episode ended"):
        vector_envs.autoreset(CueTask(episode_lengths=(5000, 5000)))


def test_an_environment_without_chance_is_said_so() -> None:
    task = CueTask(num_actions=1, episode_lengths=(2, 2), truncation=0.0)

    with pytest.raises(NotApplicable, match="other seeds changed nothing"):
        vector_envs.seeding(task)
