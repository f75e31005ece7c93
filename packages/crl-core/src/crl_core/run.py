"""The run: one policy on one experiment with one seed, from the first evaluation to the last."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from crl_core.checkpoint import Checkpoint, first_non_finite, save_checkpoint
from crl_core.errors import CrlError, EnvironmentFailure, TrainingError
from crl_core.evaluation import EvaluationProgress, evaluate
from crl_core.inspection import Inspection
from crl_core.observers.base import Moment, Observer, mean_return
from crl_core.plan import RunPlan
from crl_core.plugins import origin
from crl_core.policy import Policy
from crl_core.run_directory import Status
from crl_core.runners.base import CollectedData, EnvironmentRunner
from crl_core.runners.hangs import raise_if_hanging
from crl_core.schedule import Schedule, Visit
from crl_core.seeding import Purpose, seed_sequence
from crl_core.stopping import Interrupted, StopRequest
from crl_core.timing_log import TimingLog
from crl_core.training_log import TrainingLog

__all__ = ["Run"]

_log = logging.getLogger(__name__)


class Run:
    """Trains, evaluates and saves, and tells its observers. Its directory exists already."""

    def __init__(
        self, plan: RunPlan, policy: Policy[Any], observer: Observer, status: Status, stop: StopRequest
    ) -> None:
        """Make a run; nothing is trained yet.

        Args:
            plan: what to run.
            policy: what to train, as the plan makes it.
            observer: what watches it.
            status: the run's status file.
            stop: asks the run to end.
        """
        self._plan = plan
        self._policy = policy
        self._observer = observer
        self._status = status
        self._stop = stop
        self._schedule = Schedule(
            plan.experiment,
            initial_evaluation=not plan.config.no_initial_eval,
            timesteps_per_save=plan.config.timesteps_per_save,
            render_freq=plan.config.render_freq,
            plasticity_freq=plan.config.plasticity_freq,
        )
        self._inspection = Inspection(plan, policy, observer, on_wait=self._on_wait)
        self._training_log = TrainingLog(plan.experiment.total_steps)
        self._timing_log = TimingLog()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where a checkpoint was written; the policy has its own state already."""
        self._schedule.load_state_dict(state["schedule"])
        self._training_log.load_state_dict(state["training_log"])

    def train(self) -> None:
        """Walk through the experiment.

        Raises:
            Interrupted: somebody asked the run to end; a checkpoint was written first.
            EnvironmentFailure: an environment failed; a checkpoint was written first.
            CrlError: it cannot go on.
        """
        try:
            self._walk()
        except (Interrupted, EnvironmentFailure):
            self._save()
            self._stop.check()  # a signal to all processes of a run may have ended an environment's first
            raise
        finally:
            self._policy.shutdown()

    def _walk(self) -> None:
        schedule = self._schedule
        for visit in schedule.remaining():
            self._start_task(visit)
            seed = seed_sequence(
                self._plan.config.seed,
                Purpose.TRAINING,
                cycle=visit.cycle,
                task=visit.index,
                segment=schedule.segment,
            )
            with self._policy.get_environment_runner(visit.task, seed=seed) as runner:
                runner.on_wait = self._on_wait
                self._save_and_evaluate()
                while not schedule.task_done():
                    with self._told("collect_data()", of=runner):
                        data = runner.collect_data()
                    started = time.perf_counter()
                    with self._told("train()"):
                        metrics = self._policy.train(data.rollouts, progress=schedule.progress())
                    schedule.advance(data.steps)
                    self._report(data, metrics, time.perf_counter() - started)
                    if schedule.measurement_due():
                        schedule.measured()
                        self._inspection.measure_plasticity(data.rollouts, self._moment())
                    self._save_and_evaluate()
            self._end_task(visit, runner)

    @contextlib.contextmanager
    def _told(self, method: str, *, of: EnvironmentRunner | None = None) -> Iterator[None]:
        """Say in words what the policy, or a runner, raises in one of its methods, and where."""
        try:
            yield
        except (CrlError, Interrupted):
            raise
        except Exception as error:
            policy = self._plan.policy
            who = f"policy '{policy.spec.name}' ({policy.owner})" if of is None else f"runner {origin(type(of))}"
            progress = self._schedule.progress()
            task = self._plan.experiment.tasks[progress.task].id
            raise TrainingError(
                f"{who} raised in {method} at step {progress.total_steps:,} of task '{task}': {type(error).__name__}: "
                f"{error}. The traceback is in log.txt; the last checkpoint is good."
            ) from error

    def _start_task(self, visit: Visit) -> None:
        if visit.is_new:
            with self._told("on_task_start()"):
                self._policy.on_task_start(visit.task)
            self._training_log.start_task(visit.task.rolling_return_count)
        else:
            self._training_log.resume_task(visit.task.rolling_return_count)
        self._observer.task_started(visit, self._moment())

    def _end_task(self, visit: Visit, runner: EnvironmentRunner) -> None:
        with self._told("on_task_end()"):
            self._policy.on_task_end(visit.task)
        if self._training_log.pending():
            self._log_row()
        self._observer.timings(self._moment(), {"dropped_steps": runner.dropped_steps})
        self._observer.task_ended(visit, self._moment())
        name = f"cycle{visit.cycle}_task{visit.index}"
        weights = {"network": self._policy.acting_state()}
        save_checkpoint(self._plan.directory / "checkpoints", name, Checkpoint(weights, {"final": True}))

    def _report(self, data: CollectedData, metrics: Mapping[str, float], train_seconds: float) -> None:
        """Tell observers about one update; check that its figures are numbers."""
        progress = self._schedule.progress()
        metrics = self._numbers(metrics)
        self._training_log.add({**data.logs, **metrics}, data.episodes)
        self._observer.collected(progress, data.episodes)
        self._status.beat(self.where)
        self._timing_log.add({**data.timings, "train_seconds": train_seconds}, data.steps)
        if self._training_log.due(progress.total_steps):
            self._log_row()
            self._observer.timings(self._moment(), self._timing_log.take())
        self._stop.check()

    def _numbers(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """Return metrics as numbers; end the run where one is none, or is not finite."""
        with self._told("train(), whose metrics should be numbers,"):
            numbers = {name: float(value) for name, value in metrics.items()}
        for name, value in numbers.items():
            if not math.isfinite(value):
                raise self._diverged(f"{name} is {value}")
        return numbers

    def _log_row(self) -> None:
        progress = self._schedule.progress()
        self._observer.metrics(self._moment(), self._training_log.take(progress.total_steps, progress.task))

    def _save_and_evaluate(self) -> None:
        """Do what is due: the evaluation first, so that no checkpoint splits one, but for the one at step 0."""
        if self._schedule.total_steps == 0 and self._schedule.save_due():
            self._save()
        if self._schedule.evaluation_due():
            self._evaluate()
        if self._schedule.film_due():
            self._inspection.film(self._moment())
            self._schedule.filmed()
        if self._schedule.save_due():
            self._save()
        self._timing_log.pause()

    def _evaluate(self) -> None:
        schedule = self._schedule
        tasks = {index: task for index, task in enumerate(self._plan.experiment.tasks) if task.continual_eval}
        started = time.perf_counter()
        seeds = {
            index: seed_sequence(self._plan.config.seed, Purpose.EVALUATION, task=index, segment=schedule.evaluations)
            for index in tasks
        }
        with self._told("an evaluation"):
            returns = evaluate(self._policy, tasks, seeds=seeds, on_progress=self._on_evaluation_progress)
        schedule.evaluated()
        figures: dict[str, float] = {}
        for index, episodes in returns.items():
            figures[f"eval_reward/{index}"] = mean_return(episodes)
            figures[f"eval_length/{index}"] = sum(each.length for each in episodes) / len(episodes)
        self._observer.metrics(self._moment(), figures)
        self._observer.timings(self._moment(), {"evaluation_seconds": time.perf_counter() - started})
        self._observer.evaluated(self._moment(), returns)

    def _on_wait(self) -> None:
        self._stop.check()
        raise_if_hanging()
        self._status.beat(self.where)  # a collection of whole episodes may take minutes

    def _on_evaluation_progress(self, progress: EvaluationProgress) -> None:
        self._on_wait()
        self._observer.evaluation_progress(progress)

    def _save(self) -> None:
        schedule = self._schedule
        if schedule.saved_here():
            return
        self._status.check()
        policy_state = self._policy.state_dict()
        self._check_finite(policy_state)
        schedule.saved()
        state = {
            "schedule": schedule.state_dict(),
            "training_log": self._training_log.state_dict(),
            "log_lengths": self._observer.flush(),
        }
        path = save_checkpoint(
            self._plan.directory / "checkpoints", str(schedule.total_steps), Checkpoint(policy_state, state)
        )
        _log.debug("saved %s", path)

    def _check_finite(self, policy_state: Mapping[str, Any]) -> None:
        """Save nothing that training cannot go on from."""
        name = first_non_finite(policy_state)
        if name is not None:
            raise self._diverged(f"{name} of the policy has values that are no finite numbers")

    def _diverged(self, what: str) -> TrainingError:
        progress = self._schedule.progress()
        task = self._plan.experiment.tasks[progress.task].id
        return TrainingError(
            f"{what} at step {progress.total_steps:,} of task '{task}'. The last checkpoint is good; a smaller "
            "learning rate or reward clipping often helps."
        )

    def where(self) -> dict[str, Any]:
        """Return where the run stands, for its status."""
        progress = self._schedule.progress()
        return {
            "total_steps": progress.total_steps,
            "run_num_timesteps": progress.run_num_timesteps,
            "cycle": progress.cycle,
            "task": progress.task,
        }

    def _moment(self) -> Moment:
        progress = self._schedule.progress()
        return Moment(progress.total_steps, progress.cycle, progress.task)
