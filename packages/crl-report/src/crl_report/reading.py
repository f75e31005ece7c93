"""Finding run directories and reading them; what is wrong with one is told by its name, and it is left out."""

from __future__ import annotations

import glob
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crl_core.errors import CrlError, RunDirectoryError
from crl_core.sessions import read_record, read_status
from crl_report.records import Curve, RunRecord, TaskRecord, Visit

__all__ = ["ReportError", "check_curve", "find_runs", "read_run", "read_runs", "task_record"]

_RECORD, _METRICS = "run.json", "metrics.jsonl"
_PLASTICITY = "plasticity/"

_NEEDED = re.compile(
    rb'"(eval_reward/|plasticity/|task_start"|task_end")'
)  # other rows are not taken apart: there are many

_INCIDENTAL = {  # fields of a task that change nothing about what its returns mean
    *("continual_eval_num_returns", "rolling_return_count"),
    *("vectorization", "environment_threads", "step_timeout_seconds"),
}

_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)

Row = Mapping[str, Any]


class ReportError(CrlError):
    """A report cannot be made of what it was given."""


def find_runs(places: Iterable[str]) -> list[Path]:
    """Return the run directories that places name: runs, folders of runs at any depth, or patterns of either.

    Raises:
        ReportError: a place has none.
    """
    found: dict[Path, Path] = {}  # by where they truly are, so that none counts twice
    for place in places:
        runs = [run for path in _paths(place) for run in _runs_in(path, set())]
        if not runs:
            raise ReportError(f"{place}: there is no run in it; a run's directory has a file {_RECORD}")
        for run in runs:
            found.setdefault(run.resolve(), run)
    return list(found.values())


def _paths(place: str) -> list[Path]:
    """Return the directories that a place names, a pattern too, which not every shell has taken apart."""
    if os.path.exists(place):  # noqa: PTH110  # pathlib raises where a name is too long for a file
        return [Path(place)]
    matches = [Path(each) for each in sorted(glob.glob(place, recursive=True))]  # noqa: PTH207  # it may be absolute
    if not matches:
        raise ReportError(f"{place}: there is no such file or directory")
    return matches


def _runs_in(path: Path, seen: set[Path]) -> Iterator[Path]:
    """Yield the runs in a folder; a link that leads back into it is not followed again."""
    if path.resolve() in seen:
        return
    seen.add(path.resolve())
    try:
        is_run = (path / _RECORD).is_file()
        children = sorted(child for child in path.iterdir() if child.is_dir()) if path.is_dir() else []
    except OSError:  # of somebody else, perhaps; what is wrong is told when it is read
        yield path
        return
    if is_run:
        yield path
        return
    for child in children:
        yield from _runs_in(child, seen)


def read_runs(directories: Iterable[Path]) -> tuple[list[RunRecord], list[str]]:
    """Read runs; return those that can be used, and what there is to say of them and of those that cannot.

    Raises:
        ReportError: none can be used.
    """
    runs: list[RunRecord] = []
    notes: list[str] = []
    for directory in directories:
        try:
            runs.append(read_run(directory))
        except ReportError as error:
            notes.append(f"left out: {error}")
        else:
            notes += runs[-1].notes
    if not runs:
        raise ReportError("\n".join(["no run is left to report on", *notes]))
    return runs, notes


def read_run(directory: Path) -> RunRecord:
    """Read one run.

    Raises:
        ReportError: it has no evaluation yet, or one that is no number, or its files are damaged.
    """
    try:
        return _record(directory, read_record(directory))
    except RunDirectoryError as error:
        raise ReportError(str(error)) from error
    except OSError as error:
        raise ReportError(f"{directory}: it cannot be read: {error.strerror or error}") from error
    except _MALFORMED as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
        raise ReportError(f"{directory}: {_RECORD} is not as a run writes it: {what}") from error


def _record(directory: Path, record: Row) -> RunRecord:
    rows, notes = _rows(directory / _METRICS)
    tasks = tuple(task_record(task) for task in record["experiment"]["tasks"])
    try:
        curves, visits = _curves(str(directory), rows), tuple(_visits(rows))
    except _MALFORMED as error:
        raise ReportError(f"{directory / _METRICS}: a row is not as a run writes it: {error}") from error
    names = [f"eval_reward/{index}" for index in range(len(tasks))]
    known = {index: curves[name] for index, name in enumerate(names) if name in curves}
    if not known:
        raise ReportError(f"{directory}: it has no evaluation yet")
    experiment = record["experiment"]
    cycle_count = int(experiment["cycle_count"])
    ended = sum(visit.end is not None for visit in visits)
    finished = (read_status(directory) or {}).get("state") == "finished"
    if not finished:
        notes.append(f"{directory}: it has not come to its end; what it lacks is left out")
    elif ended < cycle_count * sum(task.trained for task in tasks):
        finished = False
        notes.append(f"{directory}: it was finished, but {_METRICS} does not go that far; what it lacks is left out")
    if visits and all(curve.steps[0] > visits[0].start for curve in known.values()):
        notes.append(f"{directory}: it has no evaluation before training, so its first transfer is unknown")
    return RunRecord(
        source=str(directory),
        policy=str(record["policy"]["name"]),
        settings=dict(record["policy"]["settings"]),
        seed=int(record["run"]["seed"]),
        experiment=str(record["experiment"]["name"]),
        cycle_count=cycle_count,
        testing_freq=experiment.get("continual_testing_freq"),
        tasks=tasks,
        visits=visits,
        evaluations=known,
        finished=finished,
        distribution=str(record["policy"].get("distribution", "")),
        version=str(record["policy"].get("version", "")),
        notes=tuple(notes),
        plasticity={
            name.removeprefix(_PLASTICITY): curve for name, curve in curves.items() if name.startswith(_PLASTICITY)
        },
    )


def _curves(source: str, rows: Sequence[Row]) -> dict[str, Curve]:
    """Return what is no beginning or end of a training, by name."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        if row["name"] not in {"task_start", "task_end"}:
            found.setdefault(row["name"], []).append((int(row["step"]), float(row["value"])))
    return {name: check_curve(source, name, points) for name, points in found.items()}


def task_record(task: Row) -> TaskRecord:
    """Return a task from its fields, as run.json has them."""
    return TaskRecord(
        id=str(task["id"]),
        trained=not task.get("eval_mode", False),
        num_timesteps=int(task["num_timesteps"]),
        game=task.get("game") if task.get("type") == "atari" else None,
        episodes=task.get("continual_eval_num_returns"),
        definition=json.dumps({name: task[name] for name in sorted(task) if name not in _INCIDENTAL}),
    )


def _visits(rows: Sequence[Row]) -> Iterator[Visit]:
    """Yield the visits that rows say were begun; one without an end was the last."""
    started: Row | None = None
    for row in rows:
        if row["name"] == "task_start":
            started = row
        elif row["name"] == "task_end" and started is not None:
            yield Visit(int(started["cycle"]), int(started["task"]), int(started["step"]), int(row["step"]))
            started = None
    if started is not None:
        yield Visit(int(started["cycle"]), int(started["task"]), int(started["step"]), None)


def check_curve(source: str, name: str, found: Sequence[tuple[int, float]]) -> Curve:
    """Return steps and values as a curve.

    Raises:
        ReportError: a value is no number, or the steps do not ascend.
    """
    for step, value in found:
        if not math.isfinite(value):
            raise ReportError(f"{source}: {name} is {value} at step {step:,}")
    steps, values = zip(*found, strict=True) if found else ((), ())
    curve = Curve(np.array(steps, np.float64), np.array(values, np.float64))
    if (np.diff(curve.steps) <= 0).any():
        raise ReportError(f"{source}: the steps of {name} do not ascend")
    return curve


def _rows(path: Path) -> tuple[list[Row], list[str]]:
    """Return the rows that a report needs, and a note where the last is half a row, as a killed process leaves it."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ReportError(f"{path}: it cannot be read: {error.strerror}") from error
    rows: list[Row] = []
    for number, line in enumerate(lines[:-1], 1):
        try:
            if _NEEDED.search(line):
                rows.append(json.loads(line))
            elif not line.endswith(b"}"):
                raise ValueError
        except ValueError as error:
            raise ReportError(f"{path}: line {number:,} is damaged") from error
    cut = [f"{path}: its last row is incomplete and was left out"] if lines[-1] else []
    return rows, cut
