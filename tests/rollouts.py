"""Rollouts of random numbers with every kind of end in them, and policies made for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

from crl_core.policy import Policy, TrainingProgress, Workspace
from crl_core.rollout import Rollout

OBSERVATION_SPACE = Box(0, 255, (2, 6, 6), np.uint8)
PROGRESS = TrainingProgress(
    cycle=0, task=0, task_steps=250, task_num_timesteps=1000, total_steps=250, run_num_timesteps=2000
)


def make_policy(
    policy_class: type[Policy[Any]],
    config: Any,
    directory: Path,
    *,
    observation_space: gymnasium.Space[Any] = OBSERVATION_SPACE,
    num_actions: tuple[int, ...] = (3, 5),
    seed: int = 0,
) -> Any:
    """Return a policy for tasks with these numbers of actions, whose action_space_ids are 0, 1, …"""
    return policy_class(
        config,
        observation_space,
        {index: Discrete(n) for index, n in enumerate(num_actions)},
        task_ids=[f"task{index}" for index in range(len(num_actions))],
        device=torch.device("cpu"),
        seed=seed,
        workspace=Workspace(directory, "test"),
    )


def random_rollout(
    *, num_steps: int, num_columns: int, num_actions: int, head: int, seed: int, task_id: str = "task0"
) -> Rollout:
    """Return a rollout with games over, truncations, lost lives and resets; `head` is the largest action space."""
    generator = torch.Generator().manual_seed(seed)
    shape = (num_steps, num_columns)

    def uniform(*size: int) -> torch.Tensor:
        return torch.rand(*size, generator=generator)

    kinds = torch.randint(8, shape, generator=generator)
    valid = torch.ones(shape, dtype=torch.bool)
    for t in range(1, num_steps):
        valid[t] = ~(valid[t - 1] & ((kinds[t - 1] == 0) | (kinds[t - 1] == 1)))
    terminated = ((kinds == 0) | (kinds == 2)) & valid
    truncated = (kinds == 1) & valid
    logits = torch.randn(*shape, head, generator=generator)
    logits[..., num_actions:] = torch.finfo(torch.float32).min
    actions = torch.randint(num_actions, shape, generator=generator)
    rewards = (uniform(*shape) * 6 - 3) * valid
    keep = torch.cat([torch.zeros(1, num_columns, dtype=torch.bool), valid])
    last_actions = torch.cat([torch.zeros(1, num_columns, dtype=torch.int64), actions]) * keep
    last_rewards = torch.cat([torch.zeros(1, num_columns), rewards]) * keep
    return Rollout(
        observations=torch.randint(
            256, (num_steps + 1, num_columns, *OBSERVATION_SPACE.shape), generator=generator, dtype=torch.uint8
        ),
        actions=actions,
        rewards=rewards,
        terminated=terminated,
        truncated=truncated,
        valid=valid,
        last_actions=last_actions,
        last_rewards=last_rewards,
        extras={"policy_logits": logits, "values": torch.randn(shape, generator=generator)},
        task_id=(task_id,) * num_columns,
        num_actions=torch.full((num_columns,), num_actions),
        policy_version=torch.zeros(num_columns, dtype=torch.int64),
    )
