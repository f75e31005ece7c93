"""The random policy: actions of every kind, from its own generator alone, and a whole run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from rich.console import Console

from crl_core.launch import launch
from crl_core.logs import RunLog
from crl_core.plan import plan_run
from crl_core.policy import Workspace
from crl_core.random_policy import RandomPolicy
from crl_core.random_policy_config import RandomConfig
from crl_core.resolve import resolve
from crl_core.tutorial import tutorial

OBSERVATIONS = torch.zeros(200, 1, 6, 6, dtype=torch.uint8)


def make(space: gymnasium.Space[Any], seed: int = 0) -> RandomPolicy:
    task = tutorial().tasks[0]
    return RandomPolicy(
        RandomConfig(),
        task.observation_space,
        {task.action_space_id: space},
        task_ids=[task.id],
        device=torch.device("cpu"),
        seed=seed,
        workspace=Workspace(Path("nowhere"), "test"),
    )


def act(policy: RandomPolicy) -> torch.Tensor:
    return policy.compute_action(OBSERVATIONS, tutorial().tasks[0], None, eval_mode=False).actions


@pytest.mark.parametrize(
    "space",
    [
        Discrete(3),
        Box(-2, 2, (1,)),
        Box(np.array([0.0, -np.inf]), np.array([np.inf, 1.0]), dtype=np.float64),
        Box(0, 255, (2, 2), np.uint8),
    ],
)
def test_actions_are_in_the_space_and_its_own(space: gymnasium.Space[Any]) -> None:
    policy = make(space)
    actions, more = act(policy), act(policy)
    assert len(actions) == 200
    assert all(action in space for action in actions.numpy())
    assert not torch.equal(actions, more)
    assert torch.equal(act(make(space)), actions)
    assert not torch.equal(act(make(space, seed=1)), actions)


def test_every_action_is_as_likely() -> None:
    assert (act(make(Discrete(4))).bincount(minlength=4) > 25).all()


def test_acting_copies_have_generators_of_their_own() -> None:
    policy = make(Discrete(5))
    before = policy.generator.get_state()
    first, other = act(policy.acting_copy(seed=1)), act(policy.acting_copy(seed=2))
    assert not torch.equal(first, other)
    assert torch.equal(policy.generator.get_state(), before)


@pytest.mark.parametrize("runner", ["batch", "sync"])
def test_a_run_that_learns_nothing(tmp_path: Path, runner: str) -> None:
    settings = {"policy": "random", "experiment": "tutorial", "runner": runner, "num_envs": 2, "num_timesteps": 40}
    resolved = resolve({**settings, "continual_eval_num_returns": 4, "output_dir": str(tmp_path / "run")})
    console = Console(quiet=True)
    with RunLog(console) as log:
        launch(plan_run(resolved.run, resolved.policy), console, log)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {row["name"] for row in rows} >= {"eval_reward/0", "eval_reward/1", "train_reward/0", "train_reward/1"}


def test_it_is_light_to_ask_about(python: Callable[..., Any]) -> None:
    result = python("-c", "import crl_core.random_policy_config, sys; print('torch' in sys.modules)")
    assert result.stdout.strip() == "False", result.stderr
