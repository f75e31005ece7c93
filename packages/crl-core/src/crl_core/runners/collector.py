"""`UnrollCollector`: plays N environments for T steps at a time and keeps what happened as a `Rollout`.

Letters in shapes: T steps, N environments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from crl_core.policy import Policy
from crl_core.rollout import Rollout
from crl_core.runners.base import Episode
from crl_core.runners.loop import EnvironmentLoop, Step
from crl_core.task import Task

__all__ = ["UnrollCollector"]

_FIRST_ROWS = 128  # what a rollout of unknown length has room for at first; it doubles


class UnrollCollector:
    """Collects consecutive unrolls from one set of environments.

    Attributes:
        loop: the environments.
    """

    def __init__(
        self,
        policy: Policy[Any],
        task: Task,
        *,
        seed: np.random.SeedSequence,
        num_envs: int,
        num_steps: int | None,
        before_step: Callable[[], None] = lambda: None,
    ) -> None:
        """Make and reset the environments.

        Args:
            policy: what acts.
            task: what is played.
            seed: what the environments' seeds derive from.
            num_envs: N.
            num_steps: T; None: until every environment has ended a game (see `EnvironmentLoop.rows`).
            before_step: called before every step; what it raises ends the collection.
        """
        self.loop = EnvironmentLoop(policy, task, seed=seed, num_envs=num_envs, eval_mode=False)
        self._task = task
        self._num_steps = num_steps
        self._num_envs = num_envs
        self._before_step = before_step
        self._for_gpu = policy.device.type == "cuda"  # which copies from page-locked memory without being waited for
        self._num_actions = torch.full((num_envs,), policy.num_actions(task), dtype=torch.int64)

    def collect(self, *, policy_version: int) -> tuple[Rollout, list[Episode]]:
        """Play T steps and return them, in tensors that nothing else holds, with the games that ended."""
        latest = torch.from_numpy(self.loop.observations)
        observations = torch.empty(
            ((self._num_steps or _FIRST_ROWS) + 1, *latest.shape), dtype=latest.dtype, pin_memory=self._for_gpu
        )
        preceding = self.loop.last_data
        steps: list[Step] = []
        for t in self.loop.rows(self._num_steps):
            self._before_step()
            if t + 1 == len(observations):
                observations = torch.cat([observations, torch.empty_like(observations)])
            observations[t] = torch.from_numpy(self.loop.observations)
            steps.append(self.loop.step(observations[t]))
        observations[len(steps)] = torch.from_numpy(self.loop.observations)
        if len(steps) + 1 < len(observations):
            observations = observations[: len(steps) + 1].clone()  # a view would keep the spare rows in memory

        last_actions, last_rewards = zip(*(step.data.carried() for step in steps), strict=True)
        first_actions, first_rewards = (
            preceding.carried() if preceding else (torch.zeros_like(last_actions[0]), torch.zeros_like(last_rewards[0]))
        )
        rollout = Rollout(
            observations=observations,
            actions=torch.stack([step.data.actions for step in steps]),
            rewards=torch.stack([step.rewards for step in steps]),
            terminated=torch.stack([step.terminated for step in steps]),
            truncated=torch.stack([step.truncated for step in steps]),
            valid=~torch.stack([step.is_reset for step in steps]),
            last_actions=torch.stack([first_actions, *last_actions]),
            last_rewards=torch.stack([first_rewards, *last_rewards]),
            extras={name: torch.stack([getattr(step.data, name) for step in steps]) for name in steps[0].data.extras()},
            task_id=(self._task.id,) * self._num_envs,
            num_actions=self._num_actions,
            policy_version=torch.full((self._num_envs,), policy_version, dtype=torch.int64),
        )
        return rollout, [episode for step in steps for episode in step.episodes]

    def close(self) -> None:
        """Close the environments."""
        self.loop.close()
