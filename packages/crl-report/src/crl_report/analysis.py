"""What a report shows of each group: smoothed curves, and every metric of every run.

Letters: i the task that is evaluated, j the task that is trained, c the cycle; R runs, N tasks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crl_report import metrics
from crl_report.groups import Group, differing_fields, group_runs
from crl_report.reading import ReportError
from crl_report.records import Curve, RunRecord, TaskRecord

__all__ = ["LARGEST_WINDOW", "Analysis", "GroupAnalysis", "RunAnalysis", "analyse"]

LARGEST_WINDOW = 20
"""Evaluations whose mean is R_i, as published, a tenth of those in one training; a report takes a tenth, too."""

_WINDOWS_IN_A_VISIT = 10

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class RunAnalysis:
    """A run's curves and metrics; NaN stands for what it lacks.

    Attributes:
        record: what was read.
        curves: R_i, smoothed, by task.
        forgetting: F[i, j, c] by (i, j, c).
        transfer: Z[i, j] by (i, j).
        final: R_i at the end, by task; empty for a run that has not come to its end, and so are those below.
        area: the mean height of R_i over the whole run, by task.
        forgotten: Continual World's F_i, of R_i / s_i, by task that is trained.
        forward: Continual World's FT_i, by task that is trained and has reference runs.
    """

    record: RunRecord
    curves: Mapping[int, Curve]
    forgetting: Mapping[Triple, float]
    transfer: Mapping[tuple[int, int], float]
    final: Mapping[int, float]
    area: Mapping[int, float]
    forgotten: Mapping[int, float]
    forward: Mapping[int, float]

    @property
    def last_step(self) -> int:
        """The step of its last evaluation."""
        return int(max(curve.steps[-1] for curve in self.curves.values()))


@dataclass(frozen=True)
class GroupAnalysis:
    """A group's runs.

    Attributes:
        label: the group's.
        runs: its runs.
        scales: s_i by task.
    """

    label: str
    runs: tuple[RunAnalysis, ...]
    scales: Mapping[int, float]


@dataclass(frozen=True)
class Analysis:
    """Everything there is to report.

    Attributes:
        experiment: its name.
        tasks: its tasks, in order.
        cycle_count: walks through them.
        evaluated: the indices of the tasks that some run evaluated.
        scaled: those of them that did not always return 0, so that their figures can be divided by s_i.
        groups: the groups.
        window: evaluations in a trailing mean.
        window_chosen: whether the user chose it.
        shared_scale: whether s_i is the same for all groups.
        reference_policy: whose runs forward transfer is measured against; None without such runs.
        notes: what a reader should know.
    """

    experiment: str
    tasks: tuple[TaskRecord, ...]
    cycle_count: int
    evaluated: tuple[int, ...]
    scaled: tuple[int, ...]
    groups: tuple[GroupAnalysis, ...]
    window: int
    window_chosen: bool
    shared_scale: bool
    reference_policy: str | None
    notes: tuple[str, ...]

    @property
    def trained(self) -> tuple[int, ...]:
        """The indices of the tasks that are trained on."""
        return tuple(index for index, task in enumerate(self.tasks) if task.trained)


def analyse(
    groups: Sequence[Group],
    *,
    window: int | None = None,
    shared_scale: bool = True,
    references: Sequence[RunRecord] = (),
    notes: Sequence[str] = (),
) -> Analysis:
    """Compute everything.

    Args:
        groups: runs of one experiment.
        window: evaluations in a trailing mean; None for a tenth of those in the shortest visit, at most 20.
        shared_scale: whether s_i is the largest |R_i| of all groups and references, or of each group by itself.
        references: runs that trained on one task only, all of one policy, for forward transfer.
        notes: what there is to say already.

    Raises:
        ReportError: references train on several tasks, or are of several policies.
    """
    first = groups[0].runs[0]
    records = [run for group in groups for run in group.runs]
    fewest = _fewest_evaluations(records)
    if window is not None and window > fewest:
        notes = [
            *notes,
            (
                f"the window of {window} evaluations reaches beyond a training, the shortest of which has {fewest}: "
                f"forgetting and transfer mix in evaluations from before it; use --window {fewest} or less"
            ),
        ]
    window_chosen = window is not None
    window = window or max(1, min(LARGEST_WINDOW, math.ceil(fewest / _WINDOWS_IN_A_VISIT)))
    areas = _Areas(references, window, first)
    smoothed = [[_smooth(run, window) for run in group.runs] for group in groups]
    everything = [curves for runs in smoothed for curves in runs]
    evaluated = tuple(sorted({index for curves in everything for index in curves}))
    shared = _scales([*everything, *areas.curves_like(first.tasks)], evaluated)
    analysed: list[GroupAnalysis] = []
    for group, curves in zip(groups, smoothed, strict=True):
        scales = shared if shared_scale else _scales(curves, evaluated)
        runs = tuple(_analyse_run(run, each, scales, areas) for run, each in zip(group.runs, curves, strict=True))
        analysed.append(GroupAnalysis(group.label, runs, scales))
    scaled = tuple(index for index in evaluated if all(np.isfinite(group.scales[index]) for group in analysed))
    lacking = [
        f"task {task.id}: it was never evaluated; it is left out"
        for index, task in enumerate(first.tasks)
        if task.trained and index not in evaluated
    ]
    unscaled = [
        f"task {first.tasks[index].id}: a policy's runs returned nothing but 0, or were never evaluated on it; its "
        "metrics are left out"
        for index in evaluated
        if index not in scaled
    ]
    return Analysis(
        experiment=first.experiment,
        tasks=first.tasks,
        cycle_count=first.cycle_count,
        evaluated=evaluated,
        scaled=scaled,
        groups=tuple(analysed),
        window=window,
        window_chosen=window_chosen,
        shared_scale=shared_scale,
        reference_policy=references[0].policy if references else None,
        notes=(*notes, *lacking, *unscaled, *areas.missing(first.tasks)),
    )


def _fewest_evaluations(records: Sequence[RunRecord]) -> int:
    """Return how many evaluations the training has that has fewest, apart from those whose log has none."""
    counts = [
        int(((curve.steps > visit.start) & (curve.steps <= visit.end)).sum())
        for run in records
        for visit in run.visits
        if visit.end is not None
        for curve in run.evaluations.values()
    ]
    return min((count for count in counts if count), default=1)


def _smooth(run: RunRecord, window: int) -> dict[int, Curve]:
    return {index: metrics.trailing_mean(curve, window) for index, curve in run.evaluations.items()}


def _scales(runs: Sequence[Mapping[int, Curve]], tasks: Sequence[int]) -> dict[int, float]:
    return {index: metrics.scale([curves[index] for curves in runs if index in curves]) for index in tasks}


def _analyse_run(
    run: RunRecord, curves: Mapping[int, Curve], scales: Mapping[int, float], areas: _Areas
) -> RunAnalysis:
    forgetting: dict[Triple, float] = {}
    transfer: dict[tuple[int, int], float] = {}
    for i, curve in curves.items():
        for (c, j), value in metrics.isolated_forgetting(curve, i, run.visits, scales[i]).items():
            forgetting[i, j, c] = value
        for j, value in metrics.zero_shot_transfer(curve, i, run.visits, scales[i]).items():
            transfer[i, j] = value
    whole = {i: curve for i, curve in curves.items() if run.finished and metrics.is_covered(curve, run.end, run.end)}
    trained = {i: curve for i, curve in whole.items() if run.tasks[i].trained}
    return RunAnalysis(
        record=run,
        curves=curves,
        forgetting=forgetting,
        transfer=transfer,
        final={i: metrics.final_return(curve) for i, curve in whole.items()},
        area={i: metrics.area_under_curve(curve, 0, run.end) for i, curve in whole.items()},
        forgotten={i: metrics.forgetting(_divided(curve, scales[i]), run.visits, i) for i, curve in trained.items()},
        forward={
            i: metrics.forward_transfer(areas.first_visit(run, i, scales[i]), alone)
            for i in trained
            if (alone := areas.alone(run.tasks[i].id, scales[i])) is not None
        },
    )


def _divided(curve: Curve, scale: float) -> Curve:
    return Curve(curve.steps, curve.values / scale)


class _Areas:
    """Areas under the curves of first trainings: of runs, and of reference runs that trained on one task only.

    They are those of R_i without smoothing, which would bring evaluations from before a training into its area.
    """

    def __init__(self, references: Sequence[RunRecord], window: int, first: RunRecord) -> None:
        policies = sorted({run.policy for run in references})
        if len(policies) > 1:
            raise ReportError(f"the reference runs are of several policies: {', '.join(policies)}; name those of one")
        if len(group_runs(references)) > 1:
            raise ReportError("the reference runs have different settings; name those of one")
        self._notes: list[str] = []
        self._by_task: dict[str, list[tuple[RunRecord, int, Curve]]] = {}
        for run in references:
            indices = [index for index, task in enumerate(run.tasks) if task.trained]
            if len(indices) != 1:
                raise ReportError(f"{run.source}: it trains on {len(indices)} tasks; a reference run trains on one")
            (index,) = indices
            self._notes += self._compare(run, run.tasks[index], first)
            if index in run.evaluations and any(visit.end is not None for visit in run.visits):
                curve = metrics.trailing_mean(run.evaluations[index], window)
                self._by_task.setdefault(run.tasks[index].id, []).append((run, index, curve))

    def _compare(self, run: RunRecord, task: TaskRecord, first: RunRecord) -> Iterator[str]:
        """Refuse a reference that trained for longer or shorter; note one whose task is another, or none of these."""
        same = [other for other in first.tasks if other.id == task.id]
        if same and run.testing_freq != first.testing_freq:
            yield (
                f"{run.source}: it evaluated every {run.testing_freq} steps, the other runs every {first.testing_freq}"
            )
        if not same:
            yield f"{run.source}: it trained on {task.id}, which is no task of the other runs; it counts for nothing"
        for other in same:
            if other.num_timesteps != task.num_timesteps:
                raise ReportError(
                    f"{run.source}: it trains on {task.id} for {task.num_timesteps:,} steps, where the other runs do "
                    f"for {other.num_timesteps:,}; a reference run does as long as they"
                )
            for field, (one, two) in differing_fields(task, other).items():
                yield f"{run.source}: its task {task.id} has {field} {one}, that of the other runs {two}"

    def curves_like(self, tasks: Sequence[TaskRecord]) -> list[dict[int, Curve]]:
        """Return the references' curves by the index that their tasks have in another experiment."""
        return [{i: curve} for i, task in enumerate(tasks) for _, _, curve in self._by_task.get(task.id, [])]

    def alone(self, task_id: str, scale: float) -> float | None:
        """Return the mean area of a task's references; None without any."""
        areas = [self.first_visit(run, index, scale) for run, index, _ in self._by_task.get(task_id, [])]
        return float(np.mean(areas)) if areas else None

    def missing(self, tasks: Sequence[TaskRecord]) -> list[str]:
        """Return what there is to say of references, and of each task that lacks them while another has some."""
        lacking = [task.id for task in tasks if task.trained and task.id not in self._by_task]
        if not self._by_task:
            return self._notes
        return [*self._notes, *(f"no reference run trained on {task_id}" for task_id in lacking)]

    @staticmethod
    def first_visit(run: RunRecord, index: int, scale: float) -> float:
        """Return the area under R / s over a run's first training on a task."""
        visit = next((each for each in run.visits if each.task == index and each.end is not None), None)
        if visit is None or visit.end is None:
            return float("nan")
        return metrics.area_under_curve(_divided(run.evaluations[index], scale), visit.start, visit.end)
