"""`FullParallelRunner`: processes that play one environment each, acting on their own."""

from __future__ import annotations

import dataclasses
import io
import pickle
from typing import Any

import numpy as np
import torch

from crl_core.errors import PluginError
from crl_core.plugins import origin
from crl_core.policy import Policy
from crl_core.rollout import Rollout
from crl_core.runners.base import CollectedData, EnvironmentRunner
from crl_core.runners.processes import WorkerProcesses
from crl_core.runners.worker import Assignment
from crl_core.seeding import child_sequences, torch_seed
from crl_core.task import Task

__all__ = ["FullParallelRunner"]


class FullParallelRunner(EnvironmentRunner):
    """Plays N environments in N processes, each with a copy of the policy that is as new as the collection.

    Hands over: one rollout of N columns and T steps, column n from process n, going on where the one before it
    stopped. With `num_steps=None` N rollouts of one column, from the start of an episode to its end, of different
    lengths; from the second on, row 0 is the reset. The same seed gives the same rollouts.

    Choose it: for environments whose step takes milliseconds, so that many cores pay, and for algorithms that need
    whole episodes.

    Costs: N processes, each with a torch of its own (some 250 MB) and seconds to start; a forward pass for every
    single step, on the CPU even where the policy learns on a GPU; the weights to every process, and the observations
    back, at every collection; and all wait for the slowest.
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
        """Make a runner; its processes start with the first `collect_data`.

        Args:
            policy: what acts, by copies that are sent to the processes.
            task: what is played; its environments step inside the processes, whatever its `vectorization`.
            seed: what all its random streams derive from.
            eval_mode: whether this is evaluation: no rollouts are kept.
            num_envs: N.
            num_steps: T; None: to the end of the episode, or for the task's `eval_max_steps`.
        """
        super().__init__(policy, task, seed=seed, eval_mode=eval_mode)
        self.num_envs = num_envs
        self.num_steps = num_steps
        self._processes: WorkerProcesses | None = None

    def collect_data(self) -> CollectedData:
        """Send the policy's weights to every process, and wait until all have played.

        Returns:
            One rollout of N columns, or N of one column; in evaluation none, only the episodes that ended.

        Raises:
            EnvironmentFailure: a process failed, died or gave no sign of life.
            PluginError: the policy cannot be sent to a process, or its actions are not as the action space says.
        """
        processes = self._processes or self._start()
        state = io.BytesIO()
        torch.save(self.policy.acting_state(), state)
        processes.send([state.getvalue()] * self.num_envs)
        collected: list[CollectedData] = processes.answers(self.on_wait)
        rollouts = [rollout for each in collected for rollout in each.rollouts]
        if rollouts and self.num_steps is not None:
            rollouts = [Rollout.concatenate(rollouts)]
        episodes = [
            dataclasses.replace(episode, environment=index)
            for index, each in enumerate(collected)
            for episode in each.episodes
        ]
        return CollectedData(rollouts, sum(each.steps for each in collected), episodes)

    def close(self) -> None:
        """End the processes; count the steps they had ready in `dropped_steps`."""
        if self._processes is None:
            return
        for answer in self._processes.answered.values():
            self.dropped_steps += answer.steps if answer is not None else 0
        self._processes.close()
        self._processes = None

    def _start(self) -> WorkerProcesses:
        assignments = [self._assignment(seed) for seed in child_sequences(self.seed, self.num_envs)]
        self._processes = WorkerProcesses(self.task)
        self._processes.start(self.num_envs, self.on_wait)
        self._processes.send(assignments)
        return self._processes

    def _assignment(self, seed: np.random.SeedSequence) -> bytes:
        task = self.task
        if task.vectorization == "processes":  # this process is the environment's own
            task = task.model_copy(update={"vectorization": "in_process"})
        policy = self.policy.acting_copy(seed=torch_seed(seed), device=torch.device("cpu"))
        try:
            return pickle.dumps(Assignment(policy, task, seed, self.eval_mode, self.num_steps))
        except Exception as error:
            raise PluginError(
                f"runner 'full_parallel' cannot send policy {origin(type(self.policy))} and task '{self.task.id}' to "
                f"another process: {type(error).__name__}: {error}. What only training uses belongs into the policy's "
                "training_only. Until that is mended, choose another --runner, such as batch."
            ) from error
