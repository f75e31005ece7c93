"""The game behind the table in docs/how-it-fits-together.md, and the policy that plays it."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor, nn

from crl_core import Policy, PolicyConfig, Task, TimestepData


class Counting(gymnasium.Env[Any, Any]):
    """Shows 10 times the episode plus the steps into it; pays 10 times the action."""

    observation_space = Box(0, 100, (1,), np.float32)
    action_space = Discrete(5)

    def __init__(self) -> None:
        self._episode = -1

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._episode += 1
        self._steps = 0
        return self._observation(), {}

    def step(self, action: Any) -> Any:
        self._steps += 1
        terminated, truncated = (self._episode, self._steps) == (0, 3), (self._episode, self._steps) == (1, 2)
        return self._observation(), 10.0 * int(action), terminated, truncated, {}

    def _observation(self) -> Any:
        return np.array([10 * self._episode + self._steps], np.float32)


class CountingPolicy(Policy[PolicyConfig]):
    """Its action is the number of steps into the episode plus 1."""

    def build(self) -> None:
        self.network = nn.Identity()

    def compute_action(
        self, observations: Tensor, task: Task, last_timestep_data: TimestepData | None, *, eval_mode: bool
    ) -> TimestepData:
        return TimestepData(actions=(observations[:, 0] % 10).to(torch.int64) + 1)

    def train(self, rollouts: Any, *, progress: Any) -> dict[str, float]:
        return {}
