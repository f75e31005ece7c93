"""Which learning rate and entropy weight suit each policy on MinAtar, by the rule that docs/results.md states.

    crl run --config-file configs/minatar_grid.json --all
    python benchmarks/minatar_grid.py runs/minatar_grid

For every run: the mean of its last two evaluations, 20 episodes. For every policy, rate and weight: these returns,
divided by the largest of all runs on the same game, and their mean over games and seeds; the highest mean wins among
those of which as many runs are finished as of any.
"""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import click
from study_runs import read_finished

from crl_report.records import RunRecord


class _Setting(NamedTuple):
    policy: str
    learning_rate: float
    entropy: float  # weight of the entropy, by whatever name the policy has for it

    def __str__(self) -> str:
        return f"{self.policy:6} rate {self.learning_rate:g} entropy {self.entropy:g}"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(folder: Path) -> None:
    """Print a table."""
    returns: dict[_Setting, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in read_finished(folder):
        returns[_setting(run)][run.tasks[0].id].append(float(run.evaluations[0].values[-2:].mean()))
    games = sorted({game for each in returns.values() for game in each})
    best = {game: max(itertools.chain.from_iterable(each[game] for each in returns.values())) for game in games}
    shares = {
        setting: [value / best[game] if best[game] else 0.0 for game in games for value in each[game]]
        for setting, each in returns.items()
    }
    for setting, each in sorted(returns.items()):
        shown = "  ".join(f"{game} {', '.join(f'{value:.1f}' for value in each[game])}" for game in games)
        print(f"{setting}  {shown}")
        print(f"       mean share {statistics.mean(shares[setting]):.3f} of {len(shares[setting])} runs")
    most = max(map(len, shares.values()), default=0)
    for _, of_policy in itertools.groupby(sorted(shares), key=lambda setting: setting.policy):
        complete = [setting for setting in of_policy if len(shares[setting]) == most]
        if complete:
            print(f"chosen: {max(complete, key=lambda setting: statistics.mean(shares[setting]))}")


def _setting(run: RunRecord) -> _Setting:
    """Return what a run was made with.

    Raises:
        click.ClickException: it is no run of a grid.
    """
    name = {"ppo": "entropy_coef", "impala": "entropy_cost", "clear": "entropy_cost"}.get(run.policy)
    if name is None or len(run.tasks) > 1:
        raise click.ClickException(f"{run.source} is no run of the grid: {run.policy} on {run.experiment}")
    return _Setting(run.policy, float(run.settings["learning_rate"]), float(run.settings[name]))


if __name__ == "__main__":
    main()
