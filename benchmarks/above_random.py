"""Whether runs with one game each end above random play, with 95 percent intervals.

    crl run --config-file configs/atari_study.json --all
    python benchmarks/above_random.py runs/atari_study --at 100000 --episodes 30

For every game, policy and budget: the return of the last evaluation, over seeds, and that less the one of random play.
With --episodes, each run's newest checkpoint is evaluated in that many further episodes, and compared with those of all
runs of random play: what that agent is worth, whatever another seed would have made of it. Intervals are Student's t,
those of differences Welch's. Runs that have not come to their end are left out, and runs with several tasks, which are
for `crl report`.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from intervals import show_difference, show_mean
from study_runs import read_finished

from crl_report.groups import group_runs
from crl_report.records import Curve, RunRecord

_RANDOM = "random"


@click.command()
@click.option("--at", "steps", type=int, multiple=True, help="Print the evaluations nearest to this step, too.")
@click.option(
    "--episodes", type=click.IntRange(min=1), help="Evaluate every run's newest checkpoint in so many episodes."
)
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(steps: tuple[int, ...], episodes: int | None, folders: tuple[Path, ...]) -> None:
    """Print all games and policies of the runs in FOLDERS."""
    by_game: dict[str, list[RunRecord]] = defaultdict(list)
    for run in read_finished(*folders):
        if len(run.tasks) == 1:
            by_game[run.tasks[0].id].append(run)
        else:
            click.echo(f"left out, as it has several tasks, which are for `crl report`: {run.source}", err=True)
    for game, runs in by_game.items():
        print(game)
        random = [_last(run.evaluations[0]) for run in runs if run.policy == _RANDOM]
        if not random:
            click.echo(f"{game}: there is no finished run of random play to compare with", err=True)
        for budget in sorted({run.tasks[0].num_timesteps for run in runs}):
            for group in group_runs([run for run in runs if run.tasks[0].num_timesteps == budget]):
                _print(f"{group.label}, {budget:,} steps", group.runs, random, steps)
        if episodes is not None:
            _print_episodes(runs, episodes)


def _print(label: str, runs: Sequence[RunRecord], random: Sequence[float], steps: Sequence[int]) -> None:
    curves = [run.evaluations[0] for run in runs]
    final = [_last(curve) for curve in curves]
    print(f"  {label:24} {show_mean(final)}{_less(runs[0], final, random)}")
    for step in steps:
        reached = [each for each in (_nearest(curve, step) for curve in curves) if each is not None]
        if reached:
            print(f"  {f'at {step:,}':>24} {show_mean(reached)}")


def _print_episodes(runs: Sequence[RunRecord], episodes: int) -> None:
    """Print what each run returns in further episodes."""
    returns = {run.source: _evaluate(run, episodes) for run in runs}
    random = list(itertools.chain.from_iterable(returns[run.source] for run in runs if run.policy == _RANDOM))
    for run in runs:
        print(f"  {f'{run.policy}, seed {run.seed}':24} {show_mean(returns[run.source])}", end="")
        print(_less(run, returns[run.source], random))


def _evaluate(run: RunRecord, episodes: int) -> list[float]:
    options = [f"--episodes={episodes}", f"--seed={run.seed}"]  # so that no two runs of random play are the same
    command = [sys.executable, "-m", "crl_core", "eval", run.source, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(done.stderr.strip())
    returns: list[float] = json.loads(done.stdout)["tasks"][run.tasks[0].id]["returns"]
    return returns


def _less(run: RunRecord, returns: Sequence[float], random: Sequence[float]) -> str:
    if not random or run.policy == _RANDOM:
        return ""
    return f"   less random play {show_difference(returns, random)}"


def _last(curve: Curve) -> float:
    return float(curve.values[-1])


def _nearest(curve: Curve, step: int) -> float | None:
    """Return the evaluation nearest to a step; None where the run is shorter."""
    return float(curve.values[np.abs(curve.steps - step).argmin()]) if curve.steps[-1] >= step else None


if __name__ == "__main__":
    main()
