"""`Rollout`: what an environment runner hands to a policy's `train`, with one alignment in time.

Letters in shapes: T steps, N columns (one environment each), A actions.

Row t: in `observations[t]` the policy, with `extras[...][t]` computed from that same observation, took `actions[t]`,
got `rewards[t]` and saw `observations[t + 1]`.

Ends of episodes. With next-step autoreset `observations[t + 1]` at an end is the episode's true last observation, and
row t + 1 is the reset: its action is ignored, its reward is 0, and it is not `valid`. Invalid rows are neither
counted nor learned from, and a recursion over time must be cut there, not only masked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from crl_core.devices import to_device

__all__ = ["PER_COLUMN", "TIME_MAJOR", "Rollout"]


@dataclass(frozen=True)
class Rollout:
    """Time-major tensors of N columns over T steps.

    Attributes:
        observations: `[T + 1, N, *obs]`, in the environment's dtype.
        actions: `[T, N, *act]`, int64 for discrete actions.
        rewards: float32 `[T, N]`, as the environment gave them.
        terminated: bool `[T, N]`; nothing is gained after such a row: the discount is 0.
        truncated: bool `[T, N]`; the episode was cut off: bootstrap from `observations[t + 1]`.
        valid: bool `[T, N]`; false at rows that are a reset.
        last_actions: `[T + 1, N, *act]`, the action before each observation; zero after a reset row and at a first row.
        last_rewards: float32 `[T + 1, N]`, the reward that came with each observation; zero where `last_actions` is.
        extras: what the policy's `TimestepData` adds, each `[T, N, ...]`.
        task_id: the task of each column, N strings.
        num_actions: int64 `[N]`, how many discrete actions the column's task has; 0 for continuous ones.
        policy_version: int64 `[N]`, how many updates the acting weights had seen when the column was begun.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    valid: Tensor
    last_actions: Tensor
    last_rewards: Tensor
    extras: Mapping[str, Tensor]
    task_id: tuple[str, ...]
    num_actions: Tensor
    policy_version: Tensor

    @property
    def num_steps(self) -> int:
        """T, the length of each column."""
        return self.rewards.shape[0]

    @property
    def num_columns(self) -> int:
        """N, the number of columns."""
        return self.rewards.shape[1]

    @property
    def steps(self) -> int:
        """How many valid steps there are."""
        return int(self.valid.sum())

    def columns(self, start: int, stop: int) -> Rollout:
        """Return columns `start` to `stop` as views."""
        return Rollout(
            **{name: getattr(self, name)[:, start:stop] for name in TIME_MAJOR},
            extras={name: value[:, start:stop] for name, value in self.extras.items()},
            task_id=self.task_id[start:stop],
            num_actions=self.num_actions[start:stop],
            policy_version=self.policy_version[start:stop],
        )

    @staticmethod
    def concatenate(rollouts: Sequence[Rollout]) -> Rollout:
        """Return all columns of rollouts of one length, in order; a single rollout is returned as it is."""
        first = rollouts[0]
        if len(rollouts) == 1:
            return first
        return Rollout(
            **{name: torch.cat([getattr(each, name) for each in rollouts], dim=1) for name in TIME_MAJOR},
            extras={name: torch.cat([each.extras[name] for each in rollouts], dim=1) for name in first.extras},
            task_id=tuple(task_id for each in rollouts for task_id in each.task_id),
            num_actions=torch.cat([each.num_actions for each in rollouts]),
            policy_version=torch.cat([each.policy_version for each in rollouts]),
        )

    def to(self, device: torch.device) -> Rollout:
        """Return the rollout with every tensor on a device; on that device already, it is returned as it is."""
        if self.rewards.device == device:
            return self
        names = (*TIME_MAJOR, *PER_COLUMN)
        return Rollout(
            **{name: to_device(getattr(self, name), device) for name in names},
            extras={name: to_device(value, device) for name, value in self.extras.items()},
            task_id=self.task_id,
        )


TIME_MAJOR = (
    "observations",
    "actions",
    "rewards",
    "terminated",
    "truncated",
    "valid",
    "last_actions",
    "last_rewards",
)
"""The fields `[T, N, ...]` or `[T + 1, N, ...]`, extras aside."""

PER_COLUMN = ("num_actions", "policy_version")
"""The tensors `[N]`."""
