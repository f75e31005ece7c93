"""`SyncRunner`: one environment, one step at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from crl_core.policy import Policy
from crl_core.runners.batch import BatchRunner
from crl_core.task import Task

__all__ = ["SyncRunner"]


class SyncRunner(BatchRunner):
    """Plays one environment, for as many steps as `BatchRunner` plays in all of its environments.

    Hands over: one rollout of one column and `num_envs * num_steps` steps, going on where the one before it stopped.

    Choose it: to follow what a policy does step by step, for an environment of which there can be only one, or for an
    algorithm that is defined on one stream of experience.

    Costs: a forward pass for every single step, which is many times slower than `BatchRunner`, and an update that sees
    consecutive steps of a few episodes, which resemble each other.
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
            num_envs: how many environments' steps the one environment plays.
            num_steps: steps for each of them; None: until the environment has ended a game, or has played the task's
                `eval_max_steps`.
        """
        steps = None if num_steps is None else num_envs * num_steps
        super().__init__(policy, task, seed=seed, eval_mode=eval_mode, num_envs=1, num_steps=steps)
