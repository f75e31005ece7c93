"""`EnvironmentLoop`: N environments stepped together, with the rules for ends of episodes.

Letters in shapes: N environments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from crl_core.errors import CrlError, EnvironmentFailure
from crl_core.policy import Policy, TimestepData
from crl_core.runners.base import Episode
from crl_core.seeding import environment_seeds
from crl_core.task import Task

__all__ = ["EnvironmentLoop", "Step"]

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Step:
    """What one step of N environments gave.

    Attributes:
        data: what the policy decided, with `rewards` and `is_reset` filled in.
        rewards: float32 `[N]`.
        is_reset: bool `[N]`.
        terminated: bool `[N]`.
        truncated: bool `[N]`.
        episodes: the games that ended.
    """

    data: TimestepData
    rewards: Tensor
    is_reset: Tensor
    terminated: Tensor
    truncated: Tensor
    episodes: list[Episode]


class EnvironmentLoop:
    """N environments of a task, and the returns of the games being played in them.

    Attributes:
        observations: `[N, *obs]`, what the environments show now; the next step may overwrite the array.
        last_data: what the policy decided one step ago, with what came of it; None before the first step.
    """

    def __init__(
        self, policy: Policy[Any], task: Task, *, seed: np.random.SeedSequence, num_envs: int, eval_mode: bool
    ) -> None:
        """Make and reset the environments."""
        self._policy = policy
        self._task = task
        self._eval_mode = eval_mode
        self._returns = np.zeros(num_envs)
        self._lengths = np.zeros(num_envs, np.int64)
        self._was_done: Bools = np.zeros(num_envs, np.bool_)
        self.last_data: TimestepData | None = None
        try:
            self._envs = task.make_envs(num_envs, seeds=environment_seeds(seed, num_envs), evaluation=eval_mode)
        except CrlError:
            raise
        except Exception as error:
            raise self._failure("make_envs", error) from error
        try:
            self.observations: npt.NDArray[Any] = self._envs.reset()[0]
        except BaseException as error:
            self._envs.close()
            if isinstance(error, CrlError) or not isinstance(error, Exception):
                raise
            raise self._failure("reset", error) from error

    def step(self, observations: Tensor) -> Step:
        """Act on `observations [N, *obs]`, which are `self.observations` or the caller's copy of them."""
        data = self._policy.compute_action(observations, self._task, self.last_data, eval_mode=self._eval_mode)
        try:
            self.observations, rewards, terminated, truncated, infos = self._envs.step(data.actions.numpy())
        except CrlError:
            raise
        except Exception as error:
            raise self._failure("step", error) from error
        done = terminated | truncated
        is_reset: Bools = infos.get("is_reset", self._was_done)
        episode_over: Bools = infos.get("episode_over", done)
        self._was_done = done
        rewards = np.asarray(rewards, np.float32)
        data.rewards = torch.from_numpy(rewards)
        data.is_reset = torch.from_numpy(is_reset)
        self.last_data = data
        episodes = self._count(rewards, is_reset, episode_over)
        return Step(
            data, data.rewards, data.is_reset, torch.from_numpy(terminated), torch.from_numpy(truncated), episodes
        )

    def close(self) -> None:
        """Close the environments."""
        self._envs.close()

    def _count(self, rewards: npt.NDArray[np.float32], is_reset: Bools, episode_over: Bools) -> list[Episode]:
        """Add a row to the running returns, and take out the games that ended with it."""
        self._returns += np.where(is_reset, 0.0, rewards)
        self._lengths += ~is_reset
        ended = np.flatnonzero(episode_over)
        episodes = [Episode(int(i), float(self._returns[i]), int(self._lengths[i])) for i in ended]
        self._returns[ended] = 0.0
        self._lengths[ended] = 0
        return episodes

    def _failure(self, where: str, error: Exception) -> EnvironmentFailure:
        return EnvironmentFailure(
            f"task '{self._task.id}': an environment raised in {where}(): {type(error).__name__}: {error}"
        )
