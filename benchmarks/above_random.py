"""Whether runs with one game each end above random play, with 95 percent intervals over seeds.

    crl run --config-file configs/atari_study.json --all
    python benchmarks/above_random.py runs/atari_study --at 100000

For every game and policy: the return of the last evaluation, and that less the one of random play with Welch's
interval. Runs that have not come to their end, and runs with several tasks, are left out.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import click
import numpy as np
from intervals import show_difference, show_mean

from crl_report.reading import find_runs, read_runs
from crl_report.records import Curve

_RANDOM = "random"


@click.command()
@click.option("--at", "steps", type=int, multiple=True, help="Print the evaluations nearest to this step, too.")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(steps: tuple[int, ...], folders: tuple[Path, ...]) -> None:
    """Print all games and policies of the runs in FOLDERS."""
    curves: dict[str, dict[str, list[Curve]]] = defaultdict(lambda: defaultdict(list))
    records, notes = read_runs(find_runs(map(str, folders)))
    for run in records:
        if run.finished and len(run.tasks) == 1:
            curves[run.tasks[0].id][run.policy].append(run.evaluations[0])
        else:
            notes.append(f"left out: {run.source}")
    for game, of_game in curves.items():
        print(game)
        for policy, each in sorted(of_game.items()):
            final = _final(each)
            random = _final(of_game.get(_RANDOM, []))
            less = f"   less random play {show_difference(final, random)}" if random and policy != _RANDOM else ""
            print(f"  {policy:8} {show_mean(final)}{less}")
            for step in steps:
                print(f"           at {step:,}: {show_mean([_nearest(curve, step) for curve in each])}")
    for note in notes:
        click.echo(note, err=True)


def _final(curves: list[Curve]) -> list[float]:
    return [float(curve.values[-1]) for curve in curves]


def _nearest(curve: Curve, step: int) -> float:
    return float(curve.values[np.abs(curve.steps - step).argmin()])


if __name__ == "__main__":
    main()
