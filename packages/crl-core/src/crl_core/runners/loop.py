"""`EnvironmentLoop`: N environments stepped together, with the rules for ends of episodes.

Letters in shapes: N environments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from crl_core.errors import CrlError
from crl_core.policy import Policy, TimestepData
from crl_core.runners.base import Episode
from crl_core.runners.checks import StepChecks
from crl_core.runners.hangs import EnvironmentCall
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
        self,
        policy: Policy[Any],
        task: Task,
        *,
        seed: np.random.SeedSequence,
        num_envs: int,
        eval_mode: bool,
        filmed: bool = False,
    ) -> None:
        """Make and reset the environments.

        Args:
            policy: what acts.
            task: what is played.
            seed: what the environments' seeds derive from.
            num_envs: how many environments; 1 where they are filmed.
            eval_mode: whether they are for evaluation.
            filmed: whether they are those that can be filmed, which `envs` then has.

        Raises:
            EnvironmentFailure: one raised, or shows what its task does not promise.
        """
        self._policy = policy
        self._task = task
        self._eval_mode = eval_mode
        self._checks = StepChecks(policy, task, num_envs, eval_mode=eval_mode)
        self._numbers = np.arange(num_envs)  # of the environments there were at first, those there are
        self._returns = np.zeros(num_envs)
        self._lengths = np.zeros(num_envs, np.int64)
        self._games = np.zeros(num_envs, np.int64)  # games over
        self._was_done: Bools = np.zeros(num_envs, np.bool_)
        self.last_data: TimestepData | None = None
        self._call = EnvironmentCall(task.step_timeout_seconds, self._checks.failure)
        begin = EnvironmentCall(num_envs * task.step_timeout_seconds, self._checks.failure)  # one after the other
        try:
            with begin:
                seeds = environment_seeds(seed, num_envs)
                self._envs = (
                    task.make_filmed_envs(seeds=seeds)
                    if filmed
                    else task.make_envs(num_envs, seeds=seeds, evaluation=eval_mode)
                )
        except CrlError:
            raise
        except Exception as error:
            raise self._checks.raised("make_envs", error) from error
        try:
            with begin:
                shown, _ = self._envs.reset()
            self.observations = self._checks.observations(shown)
        except BaseException as error:
            self.close()
            if isinstance(error, CrlError) or not isinstance(error, Exception):
                raise
            raise self._checks.raised("reset", error) from error

    @property
    def envs(self) -> VectorEnv[Any, Any, Any]:
        """The environments, to look at; only the loop steps them."""
        return self._envs

    def render(self) -> Any:
        """Return what the environments' `render` does, for which they have as long as for a step."""
        with self._call:
            return self._envs.render()

    def rows(self, num_steps: int | None) -> Iterator[int]:
        """Count the rows of a rollout while the caller makes one step for each.

        Args:
            num_steps: how many; None: until every environment has ended a game, or for the task's `eval_max_steps`
                where one does not, besides the resets that it begins with.
        """
        games = self._games.copy()
        limit = self._task.eval_max_steps + int(self._was_done.any())
        for t in range(limit if num_steps is None else num_steps):
            yield t
            if num_steps is None and (self._games > games).all():
                return

    def step(self, observations: Tensor) -> Step:
        """Act on `observations [N, *obs]`, which are `self.observations` or the caller's copy of them.

        Raises:
            EnvironmentFailure: an environment raised, or gave what its task does not promise.
            PluginError: the policy's actions are not as the task's action space says.
        """
        self._checks.steps += 1
        try:
            data = self._policy.compute_action(observations, self._task, self.last_data, eval_mode=self._eval_mode)
        except CrlError:
            raise
        except Exception as error:
            raise self._checks.fault(f"raised {type(error).__name__}: {error}") from error
        actions = self._checks.actions(data)
        try:
            with self._call:
                shown, given, ended, cut_off, infos = self._envs.step(actions)
        except CrlError:
            raise
        except Exception as error:
            raise self._checks.raised("step", error) from error
        self.observations = self._checks.observations(shown)
        rewards = self._checks.rewards(given)
        terminated = self._checks.flags("terminated", ended)
        truncated = self._checks.flags("truncated", cut_off)
        done = terminated | truncated
        is_reset = self._checks.flags("is_reset", infos.get("is_reset", self._was_done))
        episode_over = self._checks.flags("episode_over", infos.get("episode_over", done))
        self._was_done = done
        data.rewards = torch.from_numpy(rewards)
        data.is_reset = torch.from_numpy(is_reset)
        self.last_data = data
        episodes = self._count(rewards, is_reset, episode_over)
        return Step(
            data, data.rewards, data.is_reset, torch.from_numpy(terminated), torch.from_numpy(truncated), episodes
        )

    def keep(self, environments: Sequence[int]) -> int:
        """Go on with these of the environments only, if they can be stepped apart; return how many there are then.

        Their episodes keep their numbers.

        Args:
            environments: numbers that they had at first, ascending.
        """
        keep = getattr(self._envs, "keep", None)
        if not callable(keep) or len(environments) == len(self._numbers):
            return len(self._numbers)
        rows = np.flatnonzero(np.isin(self._numbers, environments))
        try:
            with self._call:
                keep(rows.tolist())
        except CrlError:
            raise
        except Exception as error:
            raise self._checks.raised("keep", error) from error
        self._numbers, self.observations = self._numbers[rows], self.observations[rows]
        self._returns, self._lengths, self._games = self._returns[rows], self._lengths[rows], self._games[rows]
        self._was_done = self._was_done[rows]
        self._checks.expect(len(rows))
        if self.last_data is not None:
            self.last_data = self.last_data.rows(torch.from_numpy(rows))
        return len(rows)

    def close(self) -> None:
        """Close the environments."""
        with self._call:
            self._envs.close()

    def _count(self, rewards: npt.NDArray[np.float32], is_reset: Bools, episode_over: Bools) -> list[Episode]:
        """Add a row to the running returns, and take out the games that ended with it."""
        self._returns += np.where(is_reset, 0.0, rewards)
        self._lengths += ~is_reset
        ended = np.flatnonzero(episode_over)
        episodes = [Episode(int(self._numbers[i]), float(self._returns[i]), int(self._lengths[i])) for i in ended]
        self._returns[ended] = 0.0
        self._lengths[ended] = 0
        self._games += episode_over
        return episodes
