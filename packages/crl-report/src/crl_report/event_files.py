"""Runs of the original system, from the TensorBoard event files they left: tags `eval_reward/<task>`, steps of the run.

These files do not say who trained on what when, so the experiment has to be told: its tasks, each one's steps and the
number of cycles. Trainings are taken to end exactly at their budgets, as the original's own metrics took them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.tensorflow_stub import errors
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

from crl_report.reading import ReportError, check_curve
from crl_report.records import Curve, RunRecord, TaskRecord, Visit

__all__ = ["PastExperiment", "read_event_folders"]

_PATTERN = "events.out.tfevents.*"
_TAG = "eval_reward/"
_ALL_SCALARS = {"scalars": 0}  # 0 means all of them; by default a sample is kept


class PastExperiment:
    """What event files do not say: the tasks and their order in time."""

    def __init__(self, name: str, tasks: Sequence[TaskRecord], cycle_count: int) -> None:
        """Name it; the trained tasks are walked through in order, `cycle_count` times."""
        self.name = name
        self.tasks = tuple(tasks)
        self.cycle_count = cycle_count

    def visits(self, evaluated: Sequence[float]) -> Iterator[Visit]:
        """Yield the trainings that a run with evaluations at these steps began.

        The first begins at the first evaluation, which stands in for one before training, as in the original. One has
        ended if there is an evaluation at its end or, as the last may come a little before, within one distance of it.
        """
        distance = _usual_distance(evaluated)
        start = 0
        for cycle in range(self.cycle_count):
            for index, task in enumerate(self.tasks):
                if task.trained and start <= evaluated[-1]:
                    end = start + task.num_timesteps
                    whole = evaluated[-1] >= end - distance
                    yield Visit(cycle, index, start or int(evaluated[0]), end if whole else None)
                    start = end

    @property
    def total_steps(self) -> int:
        """The steps of a whole run."""
        return self.cycle_count * sum(task.num_timesteps for task in self.tasks if task.trained)


def _usual_distance(evaluated: Sequence[float]) -> float:
    return float(np.median(np.diff(evaluated))) if len(evaluated) > 1 else 0.0


def read_event_folders(folders: Mapping[str, Path], experiment: PastExperiment) -> tuple[list[RunRecord], list[str]]:
    """Read runs: every directory in a folder that holds event files is one.

    Args:
        folders: folders of runs, by the name of the policy that made them.
        experiment: what all of them trained on.

    Returns:
        The runs, and what there is to say of them.

    Raises:
        ReportError: a folder has none, or one has no evaluation of the experiment's tasks.
    """
    runs: list[RunRecord] = []
    for policy, folder in folders.items():
        if not folder.exists():
            raise ReportError(f"{folder}: there is no such directory")
        directories = sorted({path.parent for path in folder.rglob(_PATTERN)})
        if not directories:
            raise ReportError(f"{folder}: there is no event file in it (events.out.tfevents...)")
        runs += [_read(directory, policy, seed, experiment) for seed, directory in enumerate(directories)]
    return runs, [note for run in runs for note in run.notes]


def _read(directory: Path, policy: str, seed: int, experiment: PastExperiment) -> RunRecord:
    if (directory / "run.json").exists():
        raise ReportError(
            f"{directory}: it is a run of crl, which knows itself where its tasks begin and end; name it without "
            "--tensorboard"
        )
    accumulator = EventAccumulator(str(directory), size_guidance=_ALL_SCALARS)
    accumulator.Reload()
    tags = {tag for tag in accumulator.Tags()["scalars"] if tag.startswith(_TAG)}
    evaluations = {
        index: _curve(directory, accumulator, f"{_TAG}{index}")
        for index in range(len(experiment.tasks))
        if f"{_TAG}{index}" in tags
    }
    unknown = sorted(tags - {f"{_TAG}{index}" for index in evaluations})
    if unknown:
        raise ReportError(
            f"{directory}: it evaluated {', '.join(unknown)}, which is no task of {experiment.name} with its "
            f"{len(experiment.tasks)} tasks; name the experiment it trained on"
        )
    if not evaluations:
        raise ReportError(f"{directory}: its event files have no figure named {_TAG}<task>")
    steps = np.unique(np.concatenate([curve.steps for curve in evaluations.values()]))
    if steps[-1] > experiment.total_steps + _usual_distance(steps.tolist()):
        raise ReportError(
            f"{directory}: its evaluations go on to step {int(steps[-1]):,}, beyond the {experiment.total_steps:,} "
            f"steps of {experiment.name}; name its cycles and the steps of its tasks"
        )
    notes = [note for path in sorted(directory.glob(_PATTERN)) for note in _damage(path)]
    visits = tuple(experiment.visits(steps.tolist()))
    trainings = experiment.cycle_count * sum(task.trained for task in experiment.tasks)
    finished = len(visits) == trainings and visits[-1].end is not None
    if not finished:
        notes.append(f"{directory}: it has not come to its end; what it lacks is left out")
    return RunRecord(
        source=str(directory),
        policy=policy,
        settings={},
        seed=seed,
        experiment=experiment.name,
        cycle_count=experiment.cycle_count,
        testing_freq=None,
        tasks=experiment.tasks,
        visits=visits,
        evaluations=evaluations,
        finished=finished,
        notes=tuple(notes),
    )


def _damage(path: Path) -> Iterator[str]:
    """Yield a note if a file can be read only in part, which TensorBoard's reader keeps to itself."""
    reader = PyRecordReader_New(str(path))
    for number in itertools.count(1):
        try:
            reader.GetNext()
        except errors.OutOfRangeError:  # its regular end
            return
        except errors.DataLossError:
            yield f"{path}: it is cut off or damaged at record {number:,}; what comes after it is lost"
            return


def _curve(directory: Path, accumulator: EventAccumulator, tag: str) -> Curve:
    """Return a figure; where a resumed run wrote a step again, the later one counts."""
    events = sorted(accumulator.Scalars(tag), key=lambda event: event.wall_time)
    values = {event.step: event.value for event in events}
    return check_curve(str(directory), tag, sorted(values.items()))
