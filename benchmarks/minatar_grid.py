"""Which learning rate suits each policy on MinAtar, by the rule that docs/results.md states.

    crl run --config-file configs/minatar_grid.json --all
    python benchmarks/minatar_grid.py runs/minatar_grid

For every run: the mean of its last two evaluations, 20 episodes. For every policy and rate: these returns, divided by
the largest of all runs on the same game, and their mean over games; the highest mean wins.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from pathlib import Path

import click

from crl_report.reading import find_runs, read_runs


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(folder: Path) -> None:
    """Print a table."""
    returns: dict[tuple[str, float], dict[str, float]] = defaultdict(dict)
    records, notes = read_runs(find_runs([str(folder)]))
    for run in records:
        if run.finished:
            last = run.evaluations[0].values[-2:]
            returns[run.policy, float(run.settings["learning_rate"])][run.tasks[0].id] = float(last.mean())
        else:
            notes.append(f"left out, not finished: {run.source}")
    games = sorted({game for each in returns.values() for game in each})
    best = {game: max(each[game] for each in returns.values() if game in each) for game in games}
    for (policy, rate), each in sorted(returns.items()):
        share = statistics.mean(each[game] / best[game] for game in each)
        shown = "  ".join(f"{game} {each.get(game, float('nan')):6.2f}" for game in games)
        print(f"{policy:8} {rate:<8g} {shown}  mean share {share:.3f} of {len(each)} games")
    for note in notes:
        print(note)


if __name__ == "__main__":
    main()
