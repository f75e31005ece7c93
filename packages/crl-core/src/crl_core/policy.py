"""`Policy`, an algorithm: how it acts and how it learns; and `TimestepData`, what acting leaves behind for learning.

The loop it lives in:

    with policy.get_environment_runner(task, seed=...) as runner:
        while not done:
            data = runner.collect_data()                           # calls policy.compute_action at every step
            metrics = policy.train(data.rollouts, progress=...)
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Discrete
from torch import Tensor, nn

from crl_core.config import PolicyConfig
from crl_core.errors import ExperimentError
from crl_core.rollout import Rollout
from crl_core.runners.making import make_runner
from crl_core.seeding import torch_seed
from crl_core.task import Task

if TYPE_CHECKING:
    from crl_core.runners.base import EnvironmentRunner

__all__ = ["Policy", "TimestepData", "TrainingProgress", "Workspace"]

ConfigT = TypeVar("ConfigT", bound=PolicyConfig)


@dataclass(kw_only=True)
class TimestepData:
    """One step of N environments: what `compute_action` decided, and what the runner then saw.

    Subclass it to add what the algorithm needs again when it learns, each field a tensor `[N, ...]`; the runner stacks
    those over time into `Rollout.extras` under their names.

    Attributes:
        actions: `[N, *act]`, int64 for discrete actions.
        rewards: float32 `[N]`; the runner fills it in.
        is_reset: bool `[N]`, whether the row was a reset, so that the action was ignored; the runner fills it in.
    """

    actions: Tensor
    rewards: Tensor | None = None
    is_reset: Tensor | None = None

    def extras(self) -> dict[str, Tensor]:
        """Return what a subclass adds, by name."""
        own = {"actions", "rewards", "is_reset"}
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in own}

    def rows(self, environments: Tensor) -> Self:
        """Return the rows of `environments`, int64 indices: those that an evaluation goes on with.

        What is no tensor is taken over as it is; a subclass that keeps something else by row picks its rows, too.
        """
        clone = copy.copy(self)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                setattr(clone, field.name, value[environments])
        return clone

    def carried(self) -> tuple[Tensor, Tensor]:
        """Return the actions `[N, *act]` and rewards `[N]` that precede the next observation; zero after a reset."""
        if self.rewards is None or self.is_reset is None:
            raise ValueError("the runner has not filled in rewards and is_reset yet")
        keep = ~self.is_reset
        actions = self.actions * keep.view(-1, *[1] * (self.actions.ndim - 1))
        return actions, self.rewards * keep


@dataclass(frozen=True)
class TrainingProgress:
    """Where a run stands before an update; schedules are pure functions of it.

    Attributes:
        cycle: the walk through the tasks.
        task: the index of the task that is trained.
        task_steps: steps into this visit of the task.
        task_num_timesteps: the task's budget.
        total_steps: steps of the whole run so far.
        run_num_timesteps: the budget of the whole run.
    """

    cycle: int
    task: int
    task_steps: int
    task_num_timesteps: int
    total_steps: int
    run_num_timesteps: int


@dataclass(frozen=True)
class Workspace:
    """Where a policy may keep files of its own.

    Attributes:
        directory: the run directory.
        run_id: a name for the run that no other run has.
    """

    directory: Path
    run_id: str


class Policy(ABC, Generic[ConfigT]):
    """An algorithm: how it acts, how it learns, and the state that takes.

    Attributes:
        config: the policy's settings.
        network: everything `compute_action` needs besides its arguments and `config`.
        seed: what its random numbers derive from.
        generator: the policy's own stream of random numbers, on `device`.
        training_only: names of attributes that only `train` uses, which acting copies leave out.
    """

    training_only: ClassVar[frozenset[str]] = frozenset({"optimizer"})
    network: nn.Module

    def __init__(
        self,
        config: ConfigT,
        observation_space: gymnasium.Space[Any],
        action_spaces: Mapping[int | str, gymnasium.Space[Any]],
        *,
        task_ids: Sequence[str],
        device: torch.device,
        seed: int,
        workspace: Workspace,
    ) -> None:
        """Make a policy.

        Args:
            config: its settings.
            observation_space: the space all tasks share.
            action_spaces: the action space of each `action_space_id`.
            task_ids: the experiment's tasks, in order.
            device: where the network lives.
            seed: what the weights and sampled actions derive from.
            workspace: where files may be kept.
        """
        self.config = config
        self.observation_space = observation_space
        self.action_spaces = dict(action_spaces)
        self.task_ids = tuple(task_ids)
        self.device = device
        self.seed = seed
        self.workspace = workspace
        self.generator = torch.Generator(device).manual_seed(torch_seed(np.random.SeedSequence(seed)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.build()
        if not isinstance(getattr(self, "network", None), nn.Module):
            raise TypeError("build() has to set self.network to a torch module, even if it is nn.Identity()")

    @abstractmethod
    def build(self) -> None:
        """Make `self.network`, the optimizer and what else training needs; no directory, process or thread.

        The constructor calls it last, with torch's global generator seeded, so that weights come out the same every
        time.
        """

    @classmethod
    def prepare(
        cls, config: ConfigT, *, observation_space: gymnasium.Space[Any], total_steps: int, directory: Path
    ) -> ConfigT:
        """Check the settings against this machine before anything is written; return them, adjusted if need be.

        Args:
            config: the settings, validated.
            observation_space: the space all tasks share.
            total_steps: the budget of the whole run.
            directory: the run directory, which may not exist yet.

        Raises:
            CrlError: the run could not work here.
        """
        return config

    @abstractmethod
    def compute_action(
        self, observations: Tensor, task: Task, last_timestep_data: TimestepData | None, *, eval_mode: bool
    ) -> TimestepData:
        """Choose actions. Changes nothing but `self.generator`.

        Args:
            observations: `[N, *obs]`, on the CPU, in the environment's dtype.
            task: the task that is played.
            last_timestep_data: what this method returned for these environments one step ago, with `rewards` and
                `is_reset` filled in; None at the first step.
            eval_mode: whether this is evaluation rather than training.

        Returns:
            The actions and what learning needs of this step, on the CPU.
        """

    @abstractmethod
    def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
        """Learn from what a runner collected, and return metrics by name."""

    def runner_options(self, task: Task, *, eval_mode: bool) -> dict[str, Any]:
        """Return the options the runner is made with, as keywords of its constructor.

        The core's runners take `num_envs` and `num_steps`, which may be None for whole episodes; what each makes of
        them, it documents. A policy that supports others returns what `config.runner` needs.
        """
        if eval_mode:
            return {"num_envs": min(10, task.continual_eval_num_returns), "num_steps": 16}
        return {"num_envs": 8, "num_steps": 20}

    def get_environment_runner(
        self, task: Task, *, seed: np.random.SeedSequence, eval_mode: bool = False
    ) -> EnvironmentRunner:
        """Return a runner for the task: the registered one that the settings name, or `batch` for evaluation.

        Raises:
            UnknownNameError: that runner is not installed.
            PluginError: it does not take what `runner_options` returns.
        """
        name = "batch" if eval_mode else self.config.runner
        options = self.runner_options(task, eval_mode=eval_mode)
        return make_runner(name, self, task, seed=seed, eval_mode=eval_mode, options=options)

    def num_actions(self, task: Task) -> int:
        """Return how many discrete actions the task has; 0 for continuous ones."""
        space = self.action_spaces[task.action_space_id]
        return int(space.n) if isinstance(space, Discrete) else 0

    def largest_action_space(self) -> int:
        """Return the most discrete actions that any task has: the size of a head that all tasks share.

        Raises:
            ExperimentError: an action space is not Discrete.
        """
        sizes = [int(space.n) for space in self.action_spaces.values() if isinstance(space, Discrete)]
        if len(sizes) != len(self.action_spaces):
            raise ExperimentError(
                f"{type(self).__name__} needs Discrete actions, but this experiment has continuous ones; "
                "try another policy"
            )
        return max(sizes)

    def acting_copy(self, *, seed: int, device: torch.device | None = None) -> Self:
        """Return what a thread, a process or an evaluation acts with: own weights and generator, no optimizer.

        For another process it is pickled, so what cannot be belongs into `training_only`.

        Args:
            seed: what its sampled actions derive from.
            device: where it acts; None is where this policy does.
        """
        clone = copy.copy(self)
        for name in self.training_only:
            clone.__dict__.pop(name, None)
        clone.device = device or self.device
        clone.network = copy.deepcopy(self.network).eval().requires_grad_(False).to(clone.device)
        clone.generator = torch.Generator(clone.device).manual_seed(seed)
        return clone

    def acting_state(self) -> dict[str, Any]:
        """Return what an acting copy needs to act as this policy does now."""
        return self.network.state_dict()

    def load_acting_state(self, state: Mapping[str, Any]) -> None:
        """Take over another's `acting_state`. Not while another thread acts with this policy."""
        self.network.load_state_dict(state)

    def state_dict(self) -> dict[str, Any]:
        """Return everything training needs to go on: tensors and plain containers only.

        The base returns the network and the generator; a subclass adds its optimizer and whatever else it changes.
        """
        return {"network": self.network.state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state that `state_dict` returned."""
        self.network.load_state_dict(state["network"])
        self.generator.set_state(state["generator"])

    def on_task_start(self, task: Task) -> None:
        """Learn that training on a task begins. Not called again when a run resumes inside the task."""

    def on_task_end(self, task: Task) -> None:
        """Learn that training on a task is over."""

    def shutdown(self) -> None:
        """Let go of files and threads. May be called more than once."""
