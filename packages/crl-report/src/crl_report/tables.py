"""The tables of a report, as data: what each is made of is said in docs/metrics.md."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from crl_core.experiment_names import file_name
from crl_report import metrics
from crl_report.analysis import Analysis, GroupAnalysis, RunAnalysis
from crl_report.atari_scores import RANDOM_AND_HUMAN
from crl_report.metrics import Estimate, Interval

__all__ = ["Cell", "Table", "make_tables"]

Cell = str | int | float | Estimate | Interval | None
"""What stands in a table; None where there is nothing to show."""

Values = Mapping[tuple[int, int], float]

_TIMES = 10  # forgetting and transfer are shown ten times as large, as they were published
_CONFIDENCE = 0.95
_CONFIDENCE_OF_CONTINUAL_WORLD = 0.9
_ALL = "all"
_SMALL = 10  # returns below this are shown with one decimal more


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: what its files are called.
        title: what it shows.
        columns: the heads of its columns, the first that of the rows' names.
        rows: its cells, the first of each row being its name.
        digits: decimals to show.
        times: how many times as large as they are its figures are shown.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    digits: int
    times: int = 1

    def turned(self) -> Table:
        """Return the table with its rows as columns."""
        columns = [self.columns[0], *(str(row[0]) for row in self.rows)]
        rows = [[name, *(row[index] for row in self.rows)] for index, name in enumerate(self.columns[1:], 1)]
        return replace(self, columns=columns, rows=rows)


def make_tables(analysis: Analysis) -> list[Table]:
    """Return all tables that have something to show."""
    return [
        _summary(analysis),
        _by_task(analysis, "final_returns", "Final return", lambda run: run.final, analysis.evaluated),
        _by_task(
            analysis, "average_returns", "Average return over the whole run", lambda run: run.area, analysis.evaluated
        ),
        *_human_normalized(analysis),
        _scales(analysis),
        *(
            table
            for group, name in zip(analysis.groups, _file_names(analysis), strict=True)
            for table in _matrices(analysis, group, name)
        ),
    ]


def _summary(analysis: Analysis) -> Table:
    """Return one row for each group."""
    columns: dict[str, Callable[[GroupAnalysis], Cell]] = {
        "runs": lambda group: len(group.runs),
        "final return / s": lambda group: _over_tasks(analysis, group, lambda run: run.final),
        "interquartile mean [95 %]": lambda group: _interquartile_mean(analysis, group),
        "average return / s": lambda group: _over_tasks(analysis, group, lambda run: run.area),
        f"forgetting F x {_TIMES}, cycle 0": lambda group: _margin(_forgetting(analysis, group, [0])),
        f"transfer Z x {_TIMES}": lambda group: _margin(_transfer(analysis, group)),
        "CW performance [90 %]": lambda group: _continual_world(
            analysis, group, lambda run: {i: value / group.scales[i] for i, value in run.final.items()}
        ),
        "CW forgetting [90 %]": lambda group: _continual_world(analysis, group, lambda run: run.forgotten),
    }
    if analysis.cycle_count > 1:
        columns[f"forgetting F x {_TIMES}, all cycles"] = lambda group: _margin(
            _forgetting(analysis, group, range(analysis.cycle_count))
        )
    if analysis.reference_policy is not None:
        columns["CW forward transfer [90 %]"] = lambda group: _continual_world(analysis, group, lambda run: run.forward)
    rows = [[group.label, *(make(group) for make in columns.values())] for group in analysis.groups]
    return Table("summary", "Summary", ["policy", *columns], rows, 2)


def _over_tasks(
    analysis: Analysis, group: GroupAnalysis, figures: Callable[[RunAnalysis], Mapping[int, float]]
) -> Cell:
    """Return the mean over runs of the mean over tasks of a figure divided by s_i."""
    return metrics.mean_and_error(
        _mean([figures(run).get(i, np.nan) / group.scales[i] for i in analysis.scaled]) for run in group.runs
    )


def _interquartile_mean(analysis: Analysis, group: GroupAnalysis) -> Cell:
    if not analysis.scaled:
        return None
    scores = [[run.final.get(i, np.nan) / group.scales[i] for i in analysis.scaled] for run in group.runs]
    known = np.array([row for row in scores if np.isfinite(row).all()]).reshape(-1, len(analysis.scaled))
    if not known.size:
        return None
    return metrics.stratified_bootstrap(known, metrics.interquartile_mean, confidence=_CONFIDENCE)


def _continual_world(
    analysis: Analysis, group: GroupAnalysis, figures: Callable[[RunAnalysis], Mapping[int, float]]
) -> Cell:
    """Return the mean over runs of the mean over the tasks that are trained, with its bootstrap interval."""
    tasks = [i for i in analysis.trained if i in analysis.scaled]
    means = [_mean([figures(run).get(i, np.nan) for i in tasks]) for run in group.runs]
    return metrics.bootstrap_interval(means, confidence=_CONFIDENCE_OF_CONTINUAL_WORLD)


def _mean(values: Sequence[float]) -> float:
    """Return the mean; NaN where one is unknown, as a mean over the others would be that of something else."""
    return float(np.mean(values)) if len(values) else float("nan")


def _by_task(
    analysis: Analysis,
    name: str,
    title: str,
    figures: Callable[[RunAnalysis], Mapping[int, float]],
    tasks: Sequence[int],
) -> Table:
    """Return a row for each task and a column for each group: means over runs."""
    rows: list[list[Cell]] = []
    for i in tasks:
        means = (metrics.mean_and_error(figures(run).get(i, np.nan) for run in group.runs) for group in analysis.groups)
        rows.append([_task_name(analysis, i), *means])
    return Table(name, title, ["task", *(group.label for group in analysis.groups)], rows, _digits(rows))


def _digits(rows: Sequence[Sequence[Cell]]) -> int:
    """Return how many decimals figures of this size need."""
    means = [abs(cell.mean) for row in rows for cell in row if isinstance(cell, Estimate) and np.isfinite(cell.mean)]
    return 2 if max(means, default=0.0) < _SMALL else 1


def _human_normalized(analysis: Analysis) -> Iterator[Table]:
    """Yield human-normalized final scores, in percent, where there are Atari games."""
    played = {i: analysis.tasks[i].game for i in analysis.evaluated}
    games = {i: RANDOM_AND_HUMAN[game] for i, game in played.items() if game in RANDOM_AND_HUMAN}
    if not games:
        return

    def scores(run: RunAnalysis) -> dict[int, float]:
        return {
            i: 100 * metrics.human_normalized(run.final[i], random=random, human=human)
            for i, (random, human) in games.items()
            if i in run.final
        }

    yield _by_task(analysis, "human_normalized", "Human-normalized final return, percent", scores, [*games])


def _scales(analysis: Analysis) -> Table:
    """Return s_i of each task: of all policies, or of each."""
    groups = analysis.groups[:1] if analysis.shared_scale else analysis.groups
    labels = ["all policies"] if analysis.shared_scale else [group.label for group in groups]
    rows: list[list[Cell]] = [
        [_task_name(analysis, i), *(group.scales[i] for group in groups)] for i in analysis.scaled
    ]
    return Table("scales", "Scale s, which returns are divided by", ["task", *labels], rows, 2)


def _matrices(analysis: Analysis, group: GroupAnalysis, name: str) -> Iterator[Table]:
    """Yield a group's tables of forgetting, one for each cycle, and of transfer."""
    for cycle in range(analysis.cycle_count):
        yield _matrix(
            analysis,
            f"forgetting_{name}_cycle{cycle}",
            f"{group.label}: isolated forgetting F x {_TIMES}, cycle {cycle}",
            _forgetting(analysis, group, [cycle]),
        )
    yield _matrix(
        analysis,
        f"transfer_{name}",
        f"{group.label}: isolated zero-shot forward transfer Z x {_TIMES}",
        _transfer(analysis, group),
    )


def _forgetting(analysis: Analysis, group: GroupAnalysis, cycles: Sequence[int]) -> list[dict[tuple[int, int], float]]:
    """Return F[i, j] of each run, the mean over cycles."""
    expected = {(i, j): [c for c in cycles if c > 0 or j > i] for i in analysis.scaled for j in analysis.trained}
    return [
        {
            (i, j): _mean([run.forgetting.get((i, j, c), np.nan) for c in counted])
            for (i, j), counted in expected.items()
            if counted
        }
        for run in group.runs
    ]


def _transfer(analysis: Analysis, group: GroupAnalysis) -> list[dict[tuple[int, int], float]]:
    """Return Z[i, j] of each run."""
    expected = [(i, j) for i in analysis.scaled for j in analysis.trained if j < i]
    return [{pair: run.transfer.get(pair, np.nan) for pair in expected} for run in group.runs]


def _matrix(analysis: Analysis, name: str, title: str, runs: Sequence[Values]) -> Table:
    """Return a row for each evaluated task, a column for each trained one, and means over rows, columns and all."""
    rows: list[list[Cell]] = [
        [_task_name(analysis, i), *(_margin(runs, row=i, column=j) for j in analysis.trained), _margin(runs, row=i)]
        for i in analysis.scaled
    ]
    rows.append([_ALL, *(_margin(runs, column=j) for j in analysis.trained), _margin(runs)])
    heads = [f"after {analysis.tasks[j].id}" for j in analysis.trained]
    return Table(name, title, ["task", *heads, _ALL], rows, 1, _TIMES)


def _margin(runs: Sequence[Values], *, row: int | None = None, column: int | None = None) -> Cell:
    """Return the mean over runs of each run's mean over a row, a column, one pair of both, or all pairs."""
    chosen = [pair for pair in runs[0] if row in {None, pair[0]} and column in {None, pair[1]}]
    if not chosen:
        return None
    estimate = metrics.mean_and_error(_TIMES * _mean([run[pair] for pair in chosen]) for run in runs)
    return estimate if estimate.runs else None


def _task_name(analysis: Analysis, index: int) -> str:
    task = analysis.tasks[index]
    return task.id if task.trained else f"{task.id} (evaluation only)"


def _file_names(analysis: Analysis) -> list[str]:
    """Return a name for each group's files, none twice."""
    names: list[str] = []
    for group in analysis.groups:
        name = file_name(group.label) or "policy"
        free = (f"{name}_{number}" if number else name for number in itertools.count())
        names.append(next(each for each in free if each not in names))
    return names
