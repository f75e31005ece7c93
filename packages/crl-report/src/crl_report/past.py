"""The options of `crl report` for runs of the original system: which folders, and what they trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from crl_core.experiment_source import build_experiment
from crl_report.event_files import PastExperiment, read_event_folders
from crl_report.reading import ReportError, task_record
from crl_report.records import RunRecord, TaskRecord

__all__ = ["read_past_runs"]


def read_past_runs(
    places: Sequence[str], *, experiment: str | None, tasks: str | None, task_steps: int | None, cycles: int | None
) -> tuple[list[RunRecord], list[str]]:
    """Read the runs in folders of event files.

    Args:
        places: folders, each as `POLICY=FOLDER`, or alone, where the folder's name is the policy's.
        experiment: the name of an installed experiment; what it says goes for what is not given.
        tasks: names of tasks, separated by commas, all of them trained.
        task_steps: the steps of each training.
        cycles: walks through the tasks.

    Raises:
        ReportError: what they trained on is not known, or there is nothing to read.
    """
    folders: dict[str, Path] = {}
    for place in places:
        policy, given, folder = place.partition("=")
        path = Path(folder if given else place)
        name = policy if given else path.resolve().name
        if name in folders:
            raise ReportError(f"--tensorboard: two folders are named {name}; put POLICY= before them")
        folders[name] = path
    if (experiment is None) == (tasks is None):
        raise ReportError(
            "--tensorboard needs either --experiment, or --tasks with --task-steps: what its runs trained on"
        )
    if experiment is not None:
        return read_event_folders(folders, _installed(experiment, task_steps, cycles))
    names = [name.strip() for name in str(tasks).split(",")]
    if task_steps is None:
        raise ReportError("--tasks needs --task-steps: the steps of each training")
    if "" in names or len(set(names)) < len(names):
        raise ReportError(f"--tasks: {tasks}: a name is empty, or there twice")
    records = [TaskRecord(name, trained=True, num_timesteps=task_steps) for name in names]
    return read_event_folders(folders, PastExperiment("original runs", records, cycles or 1))


def _installed(name: str, task_steps: int | None, cycles: int | None) -> PastExperiment:
    built = build_experiment(name)
    records = [task_record(task.model_dump(mode="json")) for task in built.tasks]
    if task_steps is not None:
        records = [replace(record, num_timesteps=task_steps) for record in records]
    return PastExperiment(name, records, cycles or built.cycle_count)
