"""The answers to the hypotheses of docs/results.md, with 95 percent intervals over seeds.

    crl run --config-file configs/minatar_study.json --all
    python benchmarks/minatar_study.py runs/minatar_study

F is the mean over the games i, all other games j and both cycles of CORA's isolated forgetting F[i, j, c], each game
divided by the largest return of all runs, as in the report.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

import click
from scipy import stats

from crl_report.analysis import GroupAnalysis, RunAnalysis, analyse
from crl_report.groups import group_runs
from crl_report.metrics import value_at
from crl_report.reading import find_runs, read_runs

_SEQUENCES = {  # what is compared, by entry of configs/minatar_study.json
    0: "PPO",
    1: "IMPALA",
    2: "CLEAR",
    3: "random",
    7: "CLEAR without cloning",
    8: "CLEAR, a tenth of its buffer",
    9: "CLEAR without replay",
}
_ALONE = (4, 5, 6)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(folder: Path) -> None:
    """Print all figures of the study in FOLDER."""
    groups = {name: _group(folder / str(entry)) for entry, name in _SEQUENCES.items() if (folder / str(entry)).exists()}
    games = [task.id for task in groups["IMPALA"].runs[0].record.tasks]
    random = [_mean_of_evaluations(groups["random"], index) for index in range(len(games))]
    print("random play:", ", ".join(f"{game} {value:.2f}" for game, value in zip(games, random, strict=True)))

    print("\nIMPALA alone: final return, and as a multiple of random play")
    for entry, index in zip(_ALONE, range(len(games)), strict=True):
        final = [run.final[0] for run in _group(folder / str(entry)).runs if run.final]
        print(f"  {games[index]:16} {_interval(final)}   {_interval([each / random[index] for each in final])}")

    print("\nfinal returns in sequence:", ", ".join(games))
    for name, group in groups.items():
        finals = [[run.final[index] for run in group.runs if run.final] for index in range(len(games))]
        print(f"  {name:30}", "   ".join(_interval(each) for each in finals))

    print("\nshare of what was learned (above random play) that is lost at the end of the first cycle, of the second")
    for name, group in groups.items():
        for cycle in (0, 1) if name != "random" else ():
            lost = [[_lost(run, index, cycle, random[index]) for run in group.runs] for index in range(len(games) - 1)]
            print(f"  {name:30} cycle {cycle + 1}:", "   ".join(_interval(each) for each in lost))

    scaled = _scaled(folder)
    forgetting = {name: [_forgetting(run) for run in group.runs if run.final] for name, group in scaled.items()}
    print("\nF")
    for name, values in forgetting.items():
        print(f"  {name:30} {_interval(values)}")
    print("\ndifferences")
    half = [value / 2 for value in forgetting["IMPALA"]]
    print(f"  F of CLEAR less half of IMPALA's: {_difference(forgetting['CLEAR'], half)}")
    for name in list(_SEQUENCES.values())[4:]:
        if forgetting.get(name):
            other = "IMPALA" if name == "CLEAR without replay" else "CLEAR"
            print(f"  F of {name} less {other}'s: {_difference(forgetting[name], forgetting[other])}")
    last = len(games) - 1
    ours, theirs = ([run.final[last] for run in groups[name].runs if run.final] for name in ("CLEAR", "IMPALA"))
    print(f"  final return on {games[last]}, CLEAR less IMPALA: {_difference(ours, theirs)}")


def _group(place: Path) -> GroupAnalysis:
    records, _ = read_runs(find_runs([str(place)]))
    return analyse(group_runs(records)).groups[0]


def _scaled(folder: Path) -> dict[str, GroupAnalysis]:
    """Return the groups with one scale per game for all of them."""
    entries = {entry: folder / str(entry) for entry in _SEQUENCES if (folder / str(entry)).exists()}
    by_entry = {entry: group_runs(read_runs(find_runs([str(place)]))[0])[0] for entry, place in entries.items()}
    analysed = analyse(list(by_entry.values())).groups
    return {_SEQUENCES[entry]: group for entry, group in zip(by_entry, analysed, strict=True)}


def _mean_of_evaluations(group: GroupAnalysis, task: int) -> float:
    return statistics.mean(float(run.record.evaluations[task].values.mean()) for run in group.runs)


def _lost(run: RunAnalysis, task: int, cycle: int, random: float) -> float:
    """Return the share of a game's return above random play that is lost between its training and the cycle's end."""
    visits = [visit for visit in run.record.visits if visit.cycle == cycle]
    ends = [visit.end for visit in visits if visit.end is not None]
    if len(ends) < len(run.record.tasks):
        return math.nan
    curve = run.record.evaluations[task]
    learned, left = value_at(curve, ends[task]) - random, value_at(curve, ends[-1]) - random
    return 1 - left / learned


def _forgetting(run: RunAnalysis) -> float:
    return statistics.mean(value for (i, j, _), value in run.forgetting.items() if i != j)


def _interval(values: Sequence[float]) -> str:
    """Return the mean with the 95 percent interval of Student's t."""
    known = [value for value in values if math.isfinite(value)]
    if len(known) < 2:
        return f"{known[0]:.2f}, one run" if known else "no run"
    half = stats.t.ppf(0.975, len(known) - 1) * statistics.stdev(known) / math.sqrt(len(known))
    mean = statistics.mean(known)
    return f"{mean:.2f} ({mean - half:.2f} to {mean + half:.2f}, {len(known)} runs)"


def _difference(first: Sequence[float], second: Sequence[float]) -> str:
    """Return the difference of means with Welch's 95 percent interval."""
    if min(len(first), len(second)) < 2:
        return "too few runs"
    interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    difference = statistics.mean(first) - statistics.mean(second)
    return f"{difference:.3f} ({interval.low:.3f} to {interval.high:.3f})"


if __name__ == "__main__":
    main()
