"""`RandomPolicy`: the baseline that every policy should beat, and the smallest complete one to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from gymnasium.vector.utils import batch_space
from torch import Tensor, nn

from crl_core.policy import Policy, TimestepData, TrainingProgress
from crl_core.random_policy_config import RandomConfig
from crl_core.rollout import Rollout
from crl_core.task import Task

__all__ = ["RandomPolicy"]


class RandomPolicy(Policy[RandomConfig]):
    """Samples from the task's action space, whatever that is, and learns nothing."""

    def build(self) -> None:
        """Make the network: all that acting needs besides the settings. Nothing, here."""
        self.network = nn.Identity()

    def runner_options(self, task: Task, *, eval_mode: bool) -> dict[str, Any]:
        """Return how many environments to play, and for how long at a time."""
        if eval_mode:
            return super().runner_options(task, eval_mode=eval_mode)
        return {"num_envs": self.config.num_envs, "num_steps": self.config.num_steps}

    def compute_action(
        self, observations: Tensor, task: Task, last_timestep_data: TimestepData | None, *, eval_mode: bool
    ) -> TimestepData:
        """Sample one action for each of the observations, by the policy's own generator."""
        actions = batch_space(self.action_spaces[task.action_space_id], len(observations))
        actions.seed(int(torch.randint(2**31, (), generator=self.generator, device=self.device)))
        return TimestepData(actions=torch.from_numpy(actions.sample()))

    def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
        """Return the metrics of an update; without one there are none."""
        return {}
