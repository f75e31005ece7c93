"""Fakes for tests of plugins: `FakePolicy` checks what a runner hands it, `FakeRunner` what a policy gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from gymnasium.spaces import Discrete
from torch import Tensor, nn

from crl_core.config import PolicyConfig
from crl_core.policy import Policy, TimestepData, TrainingProgress, Workspace
from crl_core.rollout import Rollout
from crl_core.runners.base import CollectedData, EnvironmentRunner
from crl_core.task import Task
from crl_core.testing.contracts import check_rollout, check_timestep_data, fail_if, torch_dtype

__all__ = ["FakePolicy", "FakeRunner", "FakeTimestepData"]


@dataclass(kw_only=True)
class FakeTimestepData(TimestepData):
    """What a fake policy saw and did.

    Attributes:
        seen: `[N, *obs]`, the observations.
        chosen: `[N, *act]`, the actions.
        updates: int64 `[N]`, how many updates the acting weights had seen.
    """

    seen: Tensor
    chosen: Tensor
    updates: Tensor


class FakePolicy(Policy[PolicyConfig]):
    """Acts at random, on any task, and raises `CheckFailure` where a runner hands it what it should not.

    Its only weight counts updates. It keeps no files.
    """

    network: nn.Linear
    options: Mapping[str, Any]

    @classmethod
    def for_task(cls, task: Task, *, seed: int = 0, **options: Any) -> Self:
        """Return a policy for one task; `options` is what its runners are made with."""
        policy = cls(
            PolicyConfig(),
            task.observation_space,
            {task.action_space_id: task.action_space},
            task_ids=[task.id],
            device=torch.device("cpu"),
            seed=seed,
            workspace=Workspace(Path(), "fake"),
        )
        policy.options = options
        return policy

    def build(self) -> None:
        """Make the counter."""
        self.network = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.network.weight)

    @property
    def updates(self) -> int:
        """How many updates were made."""
        return int(self.network.weight.item())

    def runner_options(self, task: Task, *, eval_mode: bool) -> dict[str, Any]:
        """Return the options it was made with."""
        return dict(self.options)

    def compute_action(
        self, observations: Tensor, task: Task, last_timestep_data: TimestepData | None, *, eval_mode: bool
    ) -> FakeTimestepData:
        """Sample actions.

        Raises:
            CheckFailure: an argument is not what `Policy.compute_action` says.
        """
        self._check_arguments(observations, last_timestep_data)
        space, count = self.action_spaces[task.action_space_id], len(observations)
        if isinstance(space, Discrete):
            actions = torch.randint(int(space.n), (count,), generator=self.generator)
        else:
            low, high = (torch.from_numpy(bound) for bound in (space.low, space.high))  # type: ignore[attr-defined]  # a Box
            actions = low + (high - low) * torch.rand((count, *low.shape), generator=self.generator)
        return FakeTimestepData(
            actions=actions,
            seen=observations.clone(),
            chosen=actions.clone(),
            updates=torch.full((count,), self.updates),
        )

    def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
        """Count the update.

        Raises:
            CheckFailure: a rollout is not what `Rollout` says.
        """
        fail_if(not rollouts, "train was called without a rollout")
        for rollout in rollouts:
            check_rollout(
                rollout,
                observation_space=self.observation_space,
                action_space=next(iter(self.action_spaces.values())),
            )
        with torch.no_grad():
            self.network.weight += 1
        return {"updates": float(self.updates)}

    def _check_arguments(self, observations: Tensor, last: TimestepData | None) -> None:
        space = self.observation_space
        fail_if(
            not isinstance(observations, Tensor)
            or observations.device.type != "cpu"
            or tuple(observations.shape[1:]) != space.shape
            or observations.dtype != torch_dtype(space),
            f"compute_action was given observations that are no {torch_dtype(space)} tensor [N, *{space.shape}] on the "
            "CPU",
        )
        if last is None:
            return
        fail_if(
            not isinstance(last, FakeTimestepData),
            f"compute_action was given a {type(last).__name__} as last_timestep_data, not what it returned",
        )
        count = len(observations)
        for name, value, dtype in (("rewards", last.rewards, torch.float32), ("is_reset", last.is_reset, torch.bool)):
            fail_if(
                value is None or tuple(value.shape) != (count,) or value.dtype != dtype,
                f"last_timestep_data.{name} is not filled in as {dtype} ({count},); runners do that after each step",
            )


class FakeRunner(EnvironmentRunner):
    """Plays back rollouts: observations, rewards and ends are theirs, actions and extras the policy's.

    Without environments, a policy can be shown whatever a test needs. `collect_data` hands over one rollout after the
    other, then begins again.
    """

    def __init__(self, policy: Policy[Any], task: Task, rollouts: Sequence[Rollout]) -> None:
        """Make a runner.

        Args:
            policy: what acts.
            task: what it is told that it plays.
            rollouts: what happens, whatever it does; all of them have the same columns.
        """
        super().__init__(policy, task, seed=np.random.SeedSequence(0), eval_mode=False)
        self.num_envs = rollouts[0].num_columns
        self._script = self._repeated(rollouts)
        self._last: TimestepData | None = None

    def collect_data(self) -> CollectedData:
        """Let the policy act on every row of the next rollout.

        Raises:
            CheckFailure: what it returns cannot be stacked over time.
            PluginError: its actions are not as the task's action space says.
        """
        script = next(self._script)
        before = self._last
        steps = [self._act(script, t) for t in range(script.num_steps)]
        first = steps[0]
        fail_if(
            any({*step.extras()} != {*first.extras()} for step in steps),
            "compute_action returned other fields at another step; a rollout stacks them over time",
        )
        carried = [step.carried() for step in ([before] if before is not None else []) + steps]
        if before is None:
            carried.insert(0, (torch.zeros_like(first.actions), torch.zeros(self.num_envs)))
        last_actions, last_rewards = zip(*carried, strict=True)
        rollout = replace(
            script,
            actions=torch.stack([step.actions for step in steps]),
            last_actions=torch.stack(last_actions),
            last_rewards=torch.stack(last_rewards),
            extras={name: torch.stack([getattr(step, name) for step in steps]) for name in first.extras()},
        )
        return CollectedData([rollout], rollout.steps, [])

    def close(self) -> None:
        """Nothing is open."""

    def _act(self, script: Rollout, t: int) -> TimestepData:
        data = self.policy.compute_action(script.observations[t], self.task, self._last, eval_mode=self.eval_mode)
        check_timestep_data(data, self.policy, self.task, self.num_envs)
        data.rewards, data.is_reset = script.rewards[t], ~script.valid[t]
        self._last = data
        return data

    @staticmethod
    def _repeated(rollouts: Sequence[Rollout]) -> Iterator[Rollout]:
        while True:
            yield from rollouts
