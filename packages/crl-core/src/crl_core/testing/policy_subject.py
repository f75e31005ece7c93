"""`PolicySubject`: makes the policies that one check needs, on tasks they can play, and lets go of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch

from crl_core.config import PolicyConfig
from crl_core.errors import CrlError, PluginError
from crl_core.experiment import Experiment
from crl_core.policy import Policy, TrainingProgress, Workspace
from crl_core.rollout import Rollout
from crl_core.runners.base import CollectedData, EnvironmentRunner
from crl_core.specs import load_object
from crl_core.task import Task
from crl_core.testing.checks import CheckFailure
from crl_core.testing.contracts import torch_dtype
from crl_core.testing.cue_task import CueTask
from crl_core.testing.sources import PolicySource
from crl_core.testing.states import first_difference, freeze

__all__ = ["Metrics", "PolicySubject", "collect", "progress", "train_on", "train_updates", "updates"]

Metrics = dict[str, float]

_LONGEST_WARM_UP = 5000  # steps


class _Form(NamedTuple):
    """What tasks for a policy look like."""

    observations: Literal["image", "vector"]
    discrete: bool


_FORMS = (_Form("image", True), _Form("vector", True), _Form("vector", False), _Form("image", False))


class PolicySubject:
    """A policy under check. A context manager: leaving it shuts down every policy it made.

    Attributes:
        source: which policy, and with which settings.
        config: its settings, with a runner that does the same every time.
    """

    def __init__(self, source: PolicySource, directory: Path) -> None:
        """Load the policy's class.

        Args:
            source: which policy, and with which settings.
            directory: where policies may keep files.

        Raises:
            PluginError: the class is no `Policy`.
        """
        self.source = source
        self.config = source.repeatable
        self._directory = directory
        self._made: list[Policy[Any]] = []
        entry = source.entry
        self._class = load_object(entry.spec.policy, owner=entry.owner)
        if not (isinstance(self._class, type) and issubclass(self._class, Policy)):
            raise PluginError(f"{entry.owner} names '{entry.spec.policy}' as a policy, but it is no crl_core.Policy")
        self._forms = self._playable_forms()
        self._form = self._forms[0]

    def kinds_of_action(self) -> Iterator[None]:
        """Let tasks have each kind of action in turn that the policy takes: discrete, continuous."""
        for form in self._forms:
            self._form = form
            yield

    def task(self, num_actions: int = 3, **fields: Any) -> CueTask:
        """Return a task the policy can play; `num_actions` counts where actions are discrete."""
        count = num_actions if self._form.discrete else 0
        values = {"id": f"cue{count}", "action_space_id": count, "observations": self._form.observations}
        return CueTask(**{**values, "num_actions": count, **fields})

    def tasks(self, **fields: Any) -> list[CueTask]:
        """Return tasks with different numbers of actions; continuous ones are the same in all tasks."""
        return [self.task(3, id="few", **fields), self.task(5, id="many", **fields)]

    def make(
        self, *tasks: Task, seed: int = 0, config: PolicyConfig | None = None, workspace: Workspace | None = None
    ) -> Policy[Any]:
        """Return a new policy for the tasks, with a workspace of its own unless it takes over another's."""
        policy = self._construct(Experiment(tasks=tasks), seed, config or self.config, workspace)
        self._made.append(policy)
        return policy

    def twins(self, *tasks: Task, count: int = 2) -> list[Policy[Any]]:
        """Return policies that are alike to the last bit, whatever generators their constructors use."""
        first = self.make(*tasks)
        others = [self.make(*tasks) for _ in range(count - 1)]
        for other in others:
            other.load_acting_state(first.acting_state())
            other.generator.set_state(first.generator.get_state())
        return [first, *others]

    def warm_up(self, task: Task) -> int:
        """Return how many updates come before the first that changes the weights; 0 where none does in 5,000 steps.

        Who learns from a replay buffer fills it first, and until then shows nothing of how it learns.
        """
        policy = self.make(task)
        untrained = freeze(policy.acting_state())

        def learned(steps: int, data: CollectedData) -> bool:
            return steps >= _LONGEST_WARM_UP or bool(first_difference(untrained, freeze(policy.acting_state())))

        made = len(train_updates(policy, task, until=learned))
        return made - 1 if first_difference(untrained, freeze(policy.acting_state())) else 0

    def close(self) -> None:
        """Shut down every policy that was made."""
        while self._made:
            self._made.pop().shutdown()

    def __enter__(self) -> Self:
        """Return the subject."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shut down every policy that was made."""
        self.close()

    def _construct(
        self, experiment: Experiment, seed: int, config: PolicyConfig, workspace: Workspace | None
    ) -> Policy[Any]:
        if workspace is None:
            workspace = Workspace(self._directory / f"run{len(self._made)}", "check")
            workspace.directory.mkdir(exist_ok=True)
        prepared = self._class.prepare(
            config,
            observation_space=experiment.observation_space,
            total_steps=experiment.total_steps,
            directory=workspace.directory,
        )
        policy: Policy[Any] = self._class(
            prepared,
            experiment.observation_space,
            experiment.action_spaces,
            task_ids=[task.id for task in experiment.tasks],
            device=torch.device("cpu"),
            seed=seed,
            workspace=workspace,
        )
        return policy

    def _playable_forms(self) -> list[_Form]:
        """Return the kinds of task that the policy does not refuse, one for each kind of action."""
        playable: dict[bool, _Form] = {}
        refusals = []
        for form in _FORMS:
            if form.discrete in playable:
                continue
            self._form = form
            try:
                self._play(self.task())
                playable[form.discrete] = form
            except CrlError as refusal:
                refusals.append(f"  {self.task().observation_space} and {self.task().action_space}: {refusal}")
            except Exception as error:
                error.add_note(
                    f"That was with {self.task().observation_space} and {self.task().action_space}; what a policy does "
                    "not play it has to refuse in build(), with crl_core.errors.ExperimentError"
                )
                raise
            finally:
                self.close()
        if not playable:
            raise CheckFailure("the policy refuses every task the checks have:\n" + "\n".join(refusals))
        return list(playable.values())

    def _play(self, task: Task) -> None:
        """Let a new policy act once."""
        space = task.observation_space
        observations = torch.zeros((1, *(space.shape or ())), dtype=torch_dtype(space))
        self.make(task).compute_action(observations, task, None, eval_mode=True)


def progress(steps: int, budget: int, *, task: int = 0) -> TrainingProgress:
    """Return where a run stands that is `steps` into its last task, number `task`, when every task has one budget."""
    return TrainingProgress(
        cycle=0,
        task=task,
        task_steps=steps,
        task_num_timesteps=budget,
        total_steps=task * budget + steps,
        run_num_timesteps=(task + 1) * budget,
    )


def collect(policy: Policy[Any], task: Task, *, count: int) -> list[Sequence[Rollout]]:
    """Return `count` collections of rollouts by the policy as it is."""
    with policy.get_environment_runner(task, seed=np.random.SeedSequence(0)) as runner:
        return [runner.collect_data().rollouts for _ in range(count)]


def train_on(
    policy: Policy[Any], task: Task, collections: Sequence[Sequence[Rollout]], *, steps: int = 0
) -> list[Metrics]:
    """Train on one collection after the other, `steps` into the task; return the metrics of every update."""
    metrics = []
    for rollouts in collections:
        metrics.append(dict(policy.train(rollouts, progress=progress(steps, task.num_timesteps))))
        steps += sum(rollout.steps for rollout in rollouts)
    return metrics


def train_updates(
    policy: Policy[Any],
    task: Task,
    *,
    until: Callable[[int, CollectedData], bool],
    runner: EnvironmentRunner | None = None,
    index: int = 0,
) -> list[Metrics]:
    """Collect and train in turns, as a run does.

    Args:
        policy: what learns.
        task: what is played.
        until: is given the steps so far and what was collected last, and tells whether that is enough.
        runner: what collects; None makes the one that the policy's settings name.
        index: the task's index in its experiment.

    Returns:
        The metrics of every update. It ends at the task's budget at the latest.
    """
    if runner is None:
        with policy.get_environment_runner(task, seed=np.random.SeedSequence(0)) as its_own:
            return train_updates(policy, task, until=until, runner=its_own, index=index)
    metrics: list[Metrics] = []
    steps, enough = 0, False
    while not enough and steps < task.num_timesteps:
        data = runner.collect_data()
        metrics.append(dict(policy.train(data.rollouts, progress=progress(steps, task.num_timesteps, task=index))))
        steps += data.steps
        enough = until(steps, data)
    return metrics


def updates(count: int) -> Callable[[int, CollectedData], bool]:
    """Return an `until` for `train_updates` that ends it after `count` updates."""
    made = itertools.count(1)
    return lambda steps, data: next(made) >= count
