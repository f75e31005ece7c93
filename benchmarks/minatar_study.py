"""The answers to the hypotheses of docs/results.md, with 95 percent intervals over seeds.

    crl run --config-file configs/minatar_study.json --all
    python benchmarks/minatar_study.py runs/minatar_study

Intervals of means are Student's t, those of differences between policies Welch's. F is the mean of CORA's isolated
forgetting F[i, j, c] over the games i and the other games j, in the first cycle only those trained after i; every game
is divided by the largest return of all runs of the study. Runs that have not come to their end are left out.
docs/results.csv has every evaluation, written by the option --evaluations.
"""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import numpy as np
from hypotheses import (
    CLEAR,
    IMPALA,
    Groups,
    forgetting_of_runs,
    less,
    print_forgetting,
    print_hypothesis_3,
    print_hypothesis_4,
    print_returns,
)
from intervals import show_difference, show_mean
from study_runs import evaluations_option, folder_argument, read_finished, write_evaluations

from crl_core.experiment_source import build_experiment
from crl_report.analysis import GroupAnalysis, RunAnalysis, analyse
from crl_report.groups import Group, group_runs
from crl_report.metrics import value_at

_CONFIG = Path(__file__).parent.with_name("configs") / "minatar_study.json"
_PPO, _RANDOM = "PPO", "random"
_NO_CLONING, _TENTH, _NO_REPLAY = "CLEAR without cloning", "CLEAR, a tenth of its buffer", "CLEAR without replay"
_SEQUENCES = {0: _PPO, 1: IMPALA, 2: CLEAR, 3: _RANDOM, 7: _NO_CLONING, 8: _TENTH, 9: _NO_REPLAY}  # entries
_ALONE = (4, 5, 6)
_NEEDED = (1, 2, 3, *_ALONE)


@click.command()
@evaluations_option
@folder_argument
def main(evaluations: Path | None, folder: Path) -> None:
    """Print all answers from the runs of the study in FOLDER."""
    found = {entry: group for entry in (*_SEQUENCES, *_ALONE) if (group := _finished(folder / str(entry)))}
    _compare_with_config(found)
    lacking = [str(folder / str(entry)) for entry in _NEEDED if entry not in found]
    if lacking:
        command = "crl run --config-file configs/minatar_study.json --all"
        raise click.ClickException(f"no finished run in {', '.join(lacking)}; make them with: {command}")
    if evaluations is not None:
        write_evaluations(evaluations, [(entry, run) for entry, group in found.items() for run in group.runs])
    names = [name for entry, name in _SEQUENCES.items() if entry in found]
    references = [run for entry in _ALONE for run in found[entry].runs]
    analysed = analyse([found[entry] for entry in _SEQUENCES if entry in found], references=references).groups
    groups = dict(zip(names, analysed, strict=True))
    games = [task.id for task in groups[IMPALA].runs[0].record.tasks]
    random = [[_mean_evaluation(run, index) for run in groups[_RANDOM].runs] for index in range(len(games))]
    print_returns(groups, games)
    _first([found[entry] for entry in _ALONE], games, random)
    _second(groups, games, [statistics.mean(each) for each in random])
    _others(groups, len(games) - 1)


def _finished(place: Path) -> Group | None:
    """Return the finished runs of one entry, which have one group's settings; None if there are none."""
    if not place.exists():
        return None
    groups = group_runs(read_finished(place))
    if len(groups) > 1:
        raise click.ClickException(f"{place}: its runs have {len(groups)} different settings, where one was expected")
    return groups[0] if groups else None


def _compare_with_config(found: Mapping[int, Group]) -> None:
    """Refuse runs of another study, and tell on stderr what is lacking of this one, or shorter.

    Raises:
        click.ClickException: an entry's runs are of another policy or experiment than the study's.
    """
    for entry, wanted in enumerate(json.loads(_CONFIG.read_text(encoding="utf-8"))):
        runs = found[entry].runs if entry in found else ()
        lacking = sorted(set(wanted["seeds"]) - {run.seed for run in runs})
        if lacking:
            click.echo(f"entry {entry}: no finished run with seed {', '.join(map(str, lacking))}", err=True)
        steps = build_experiment(wanted["experiment"]).tasks[0].num_timesteps
        for run in runs:
            if (run.policy, run.experiment) != (wanted["policy"], wanted["experiment"]):
                is_of, should = f"{run.policy} on {run.experiment}", f"{wanted['policy']} on {wanted['experiment']}"
                raise click.ClickException(f"{run.source} is {is_of}, where {_CONFIG.name} has {should}")
            if run.tasks[0].num_timesteps != steps:
                short = f"{run.tasks[0].num_timesteps:,} steps a game, where the study has {steps:,}"
                click.echo(f"{run.source} has {short}", err=True)


def _first(alone: Sequence[Group], games: Sequence[str], random: Sequence[Sequence[float]]) -> None:
    print("\n1. IMPALA alone: final return; random play; the first less three times the second")
    for game, group, played in zip(games, alone, random, strict=True):
        final = [float(run.evaluations[0].values[-1]) for run in group.runs]
        less = show_difference(final, [3 * each for each in played])
        print(f"  {game:16} {show_mean(final)}   {show_mean(played)}   {less}")


def _second(groups: Groups, games: Sequence[str], random: Sequence[float]) -> None:
    print("\n2. above random play: learned; left at the end of the cycle; the second less half of the first")
    for (name, group), cycle, index in itertools.product(groups.items(), (0, 1), range(len(games) - 1)):
        if name != _RANDOM:
            pairs = [_learned_and_left(run, index, cycle, random[index]) for run in group.runs]
            learned, left = zip(*pairs, strict=True)
            less = show_mean([after - before / 2 for before, after in pairs])
            print(f"  {name:30} cycle {cycle + 1} {games[index]:16} {show_mean(learned)}   {show_mean(left)}   {less}")


def _learned_and_left(run: RunAnalysis, task: int, cycle: int, random: float) -> tuple[float, float]:
    """Return a game's return above random play after its training in a cycle, and at the end of that cycle."""
    ends = [visit.end for visit in run.record.visits if visit.cycle == cycle and visit.end is not None]
    curve = run.record.evaluations[task]
    return value_at(curve, ends[task]) - random, value_at(curve, ends[-1]) - random


def _others(groups: Groups, last: int) -> None:
    forgetting = {name: forgetting_of_runs(group) for name, group in groups.items()}
    print_forgetting(forgetting)
    print_hypothesis_3(forgetting)
    print_hypothesis_4(groups, last)
    if _NO_REPLAY in groups:
        pairs = _same_seeds(groups[_NO_REPLAY], groups[IMPALA])
        equal = sum(_equal(*pair) for pair in pairs)
        print(f"5. CLEAR without replay and IMPALA: equal in every evaluation for {equal} of {len(pairs)} seeds")
    for name in (_NO_CLONING, _TENTH):
        if name in groups:
            print(f"6. F of {name} less CLEAR's: {less(forgetting, name, CLEAR, 1.0)}")


def _mean_evaluation(run: RunAnalysis, task: int) -> float:
    return float(run.record.evaluations[task].values.mean())


def _same_seeds(first: GroupAnalysis, second: GroupAnalysis) -> list[tuple[RunAnalysis, RunAnalysis]]:
    by_seed = {run.record.seed: run for run in second.runs}
    return [(run, by_seed[run.record.seed]) for run in first.runs if run.record.seed in by_seed]


def _equal(first: RunAnalysis, second: RunAnalysis) -> bool:
    """Say whether two runs evaluated alike, task by task."""
    mine, others = first.record.evaluations, second.record.evaluations
    return all(np.array_equal(mine[index].values, others[index].values) for index in mine)


if __name__ == "__main__":
    main()
