"""`BatchRunner`: one batched forward pass over a vector environment. The default runner, and evaluation's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from crl_core.policy import Policy
from crl_core.runners.base import CollectedData, EnvironmentRunner, Episode
from crl_core.runners.collector import UnrollCollector
from crl_core.runners.loop import EnvironmentLoop
from crl_core.task import Task

__all__ = ["BatchRunner"]


class BatchRunner(EnvironmentRunner):
    """Steps N environments together, acting and learning in turns.

    Hands over: one rollout of N columns and T steps, each column going on where the one before it stopped.

    Choose it: for any policy, first of all. Learning sees what the newest policy did, the same seed gives the same
    rollouts, and one forward pass serves N environments.

    Costs: no process, and no thread but what the task's environments have. Nothing overlaps: no environment steps
    while the policy learns, and all of them wait for the slowest.
    """

    def __init__(
        self,
        policy: Policy[Any],
        task: Task,
        *,
        seed: np.random.SeedSequence,
        eval_mode: bool,
        num_envs: int,
        num_steps: int | None,
    ) -> None:
        """Make a runner.

        Args:
            policy: what acts.
            task: what is played.
            seed: what all its random streams derive from.
            eval_mode: whether this is evaluation: no rollouts are kept.
            num_envs: N.
            num_steps: T; None: until every environment has ended a game, or has played the task's `eval_max_steps`.
        """
        super().__init__(policy, task, seed=seed, eval_mode=eval_mode)
        self.num_envs = num_envs
        self.num_steps = num_steps
        self._policy_version = 0
        self._collector: UnrollCollector | None = None
        self._loop: EnvironmentLoop | None = None

    def collect_data(self) -> CollectedData:
        """Play T steps in each of the N environments.

        Returns:
            One rollout of N columns; in evaluation none, only the episodes that ended.

        Raises:
            EnvironmentFailure: an environment failed.
            PluginError: the policy's actions are not as the task's action space says.
        """
        return self._evaluate() if self.eval_mode else self._collect()

    def keep(self, environments: Sequence[int]) -> None:
        """In evaluation, go on with these environments only, where the task's vector environment has `keep`."""
        if self._loop is not None:
            self.num_envs = self._loop.keep(environments)

    def close(self) -> None:
        """Close the environments."""
        for part in (self._collector, self._loop):
            if part is not None:
                part.close()
        self._collector = self._loop = None

    def _collect(self) -> CollectedData:
        if self._collector is None:
            self._collector = UnrollCollector(
                self.policy,
                self.task,
                seed=self.seed,
                num_envs=self.num_envs,
                num_steps=self.num_steps,
                before_step=lambda: self.on_wait(),  # noqa: PLW0108  # it may be set anew at any time
            )
        rollout, episodes = self._collector.collect(policy_version=self._policy_version)
        self._policy_version += 1
        return CollectedData([rollout], rollout.steps, episodes)

    def _evaluate(self) -> CollectedData:
        if self._loop is None:
            self._loop = EnvironmentLoop(self.policy, self.task, seed=self.seed, num_envs=self.num_envs, eval_mode=True)
        episodes: list[Episode] = []
        steps = 0
        for _ in self._loop.rows(self.num_steps):
            self.on_wait()
            step = self._loop.step(torch.from_numpy(self._loop.observations))
            episodes += step.episodes
            steps += int((~step.is_reset).sum())
        return CollectedData([], steps, episodes)
