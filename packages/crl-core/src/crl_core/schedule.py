"""`Schedule`: where a run stands in its experiment, and what is due there; it survives in checkpoints as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from crl_core.experiment import Experiment
from crl_core.policy import TrainingProgress
from crl_core.task import Task

__all__ = ["Schedule", "Visit"]


@dataclass(frozen=True)
class Visit:
    """One visit of a task.

    Attributes:
        cycle: the walk through the tasks.
        index: the task's index in the experiment.
        task: the task.
        is_new: false when a run resumes inside the visit.
    """

    cycle: int
    index: int
    task: Task
    is_new: bool


@dataclass
class _Position:
    """The counters: `visit` of visits finished, `segment` of starts of training, `evaluations` of evaluations."""

    visit: int = 0
    task_steps: int = 0
    total_steps: int = 0
    segment: int = 0
    evaluations: int = 0
    evaluated_at: int = -1
    saved_at: int = -1
    filmed_at: int = 0
    measured_at: int = 0
    task_started: bool = False


class Schedule:
    """The walk through an experiment's tasks, counted in steps.

    Steps are valid steps handed to the policy. A visit ends at the first collection that reaches the task's budget, so
    the true boundaries lie a little beyond the budgets.
    """

    def __init__(
        self,
        experiment: Experiment,
        *,
        initial_evaluation: bool,
        timesteps_per_save: int,
        render_freq: int | None = None,
        plasticity_freq: int | None = None,
    ) -> None:
        """Start at the beginning.

        Args:
            experiment: what is walked through.
            initial_evaluation: whether an evaluation is due before the first step.
            timesteps_per_save: steps between two checkpoints.
            render_freq: steps between two films; None makes none.
            plasticity_freq: steps between two measurements of plasticity; None makes none.
        """
        self._experiment = experiment
        self._render_freq = render_freq
        self._plasticity_freq = plasticity_freq
        self._timesteps_per_save = timesteps_per_save
        self._position = _Position(evaluated_at=-1 if initial_evaluation else 0)
        trained = [(index, task) for index, task in enumerate(experiment.tasks) if not task.eval_mode]
        self._visits = [(cycle, index, task) for cycle in range(experiment.cycle_count) for index, task in trained]

    def remaining(self) -> Iterator[Visit]:
        """Yield the visits that are not over, starting in the middle of one where a run resumes there."""
        while self._position.visit < len(self._visits):
            position = self._position
            visit = Visit(*self._visits[position.visit], is_new=not position.task_started)
            position.task_started = True
            position.segment += 1
            yield visit
            position.visit += 1
            position.task_steps = 0
            position.task_started = False

    def advance(self, steps: int) -> None:
        """Count the steps of one collection."""
        self._position.task_steps += steps
        self._position.total_steps += steps

    def task_done(self) -> bool:
        """Whether the current visit has had its budget."""
        return self._position.task_steps >= self._current[2].num_timesteps

    def progress(self) -> TrainingProgress:
        """Return where the run stands."""
        cycle, index, task = self._current
        return TrainingProgress(
            cycle=cycle,
            task=index,
            task_steps=self._position.task_steps,
            task_num_timesteps=task.num_timesteps,
            total_steps=self._position.total_steps,
            run_num_timesteps=self._experiment.total_steps,
        )

    def evaluation_due(self) -> bool:
        """Whether an evaluation is due: before the first step, every `continual_testing_freq` steps, at task ends."""
        position = self._position
        if position.evaluated_at == position.total_steps:
            return False
        if position.evaluated_at < 0 or self.task_done():
            return True
        return self._has_crossed(self._experiment.continual_testing_freq, since=position.evaluated_at)

    def evaluated(self) -> None:
        """Count an evaluation that is over."""
        self._position.evaluations += 1
        self._position.evaluated_at = self._position.total_steps

    def film_due(self) -> bool:
        """Whether a film is due: every `render_freq` steps."""
        return self._has_crossed(self._render_freq, since=self._position.filmed_at)

    def filmed(self) -> None:
        """Count a film."""
        self._position.filmed_at = self._position.total_steps

    def measurement_due(self) -> bool:
        """Whether plasticity is to be measured: every `plasticity_freq` steps."""
        return self._has_crossed(self._plasticity_freq, since=self._position.measured_at)

    def measured(self) -> None:
        """Count a measurement of plasticity."""
        self._position.measured_at = self._position.total_steps

    def save_due(self) -> bool:
        """Whether a checkpoint is due: at the beginning, every `timesteps_per_save` steps, and after an evaluation."""
        position = self._position
        if position.saved_at < 0 or position.total_steps - position.saved_at >= self._timesteps_per_save:
            return True
        return position.evaluations > 0 and position.evaluated_at == position.total_steps > position.saved_at

    def saved_here(self) -> bool:
        """Whether there is a checkpoint of this very step."""
        return self._position.saved_at == self._position.total_steps

    def saved(self) -> None:
        """Count a checkpoint; called before its state is taken."""
        self._position.saved_at = self._position.total_steps

    @property
    def segment(self) -> int:
        """How many times training was begun or resumed."""
        return self._position.segment

    @property
    def evaluations(self) -> int:
        """How many evaluations are over."""
        return self._position.evaluations

    @property
    def total_steps(self) -> int:
        """Steps of the whole run so far."""
        return self._position.total_steps

    def state_dict(self) -> dict[str, Any]:
        """Return the counters, for a checkpoint."""
        return asdict(self._position)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the counters of a checkpoint."""
        self._position = _Position(**state)

    def _has_crossed(self, every: int | None, *, since: int) -> bool:
        """Whether the run has crossed a multiple of `every` steps since then."""
        return every is not None and self._position.total_steps // every > since // every

    @property
    def _current(self) -> tuple[int, int, Task]:
        return self._visits[min(self._position.visit, len(self._visits) - 1)]
