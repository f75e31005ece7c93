"""Which learning rate and entropy weight suit each policy on MinAtar, by the rule that docs/results.md states.

    crl run --config-file configs/minatar_grid.json --all
    python benchmarks/minatar_grid.py runs/minatar_grid

For every run: the mean of its last two evaluations, 20 episodes. For every policy, rate and weight: these returns,
divided by the largest of all runs on the same game, and their mean over games and seeds; the highest mean wins.
"""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import click

from crl_report.reading import find_runs, read_runs


class _Setting(NamedTuple):
    policy: str
    learning_rate: float
    entropy: float  # weight of the entropy, by whatever name the policy has for it


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(folder: Path) -> None:
    """Print a table."""
    returns: dict[_Setting, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    records, notes = read_runs(find_runs([str(folder)]))
    for run in records:
        if run.finished:
            last = run.evaluations[0].values[-2:]
            returns[_setting(run.policy, run.settings)][run.tasks[0].id].append(float(last.mean()))
        else:
            notes.append(f"left out, not finished: {run.source}")
    games = sorted({game for each in returns.values() for game in each})
    best = {game: max(itertools.chain.from_iterable(each[game] for each in returns.values())) for game in games}
    for setting, each in sorted(returns.items()):
        shares = [value / best[game] for game in games for value in each[game]]
        shown = "  ".join(f"{game} {', '.join(f'{value:.1f}' for value in each[game])}" for game in games)
        print(f"{setting.policy:6} rate {setting.learning_rate:g} entropy {setting.entropy:g}  {shown}")
        print(f"       mean share {statistics.mean(shares):.3f} of {len(shares)} runs")
    for note in notes:
        print(note)


def _setting(policy: str, settings: Any) -> _Setting:
    entropy = settings["entropy_coef" if policy == "ppo" else "entropy_cost"]
    return _Setting(policy, float(settings["learning_rate"]), float(entropy))


if __name__ == "__main__":
    main()
