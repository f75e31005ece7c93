"""Which learning rate suits each policy on MinAtar, by the rule that docs/results.md states.

    crl run --config-file configs/minatar_grid.json --all
    python benchmarks/minatar_grid.py runs/minatar_grid

For every run: the mean return of its last hundred training episodes. For every policy and rate: these returns, divided
by the largest of all runs on the same game, and their mean over games; the highest mean wins.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(folder: Path) -> None:
    """Print a table."""
    returns: dict[tuple[str, float], dict[str, float]] = defaultdict(dict)
    for record in sorted(folder.glob("*/run.json")):
        run = record.parent
        if json.loads((run / "status.json").read_text(encoding="utf-8"))["state"] != "finished":
            print(f"left out, not finished: {run}")
            continue
        settings = json.loads(record.read_text(encoding="utf-8"))
        policy, rate = settings["policy"]["name"], settings["policy"]["settings"]["learning_rate"]
        returns[policy, rate][settings["experiment"]["name"]] = _last_training_return(run / "metrics.jsonl")
    games = sorted({game for each in returns.values() for game in each})
    best = {game: max(each[game] for each in returns.values() if game in each) for game in games}
    for (policy, rate), each in sorted(returns.items()):
        shares = [each[game] / best[game] for game in games if game in each]
        shown = "  ".join(f"{game.removeprefix('minatar_')} {each.get(game, float('nan')):6.2f}" for game in games)
        print(f"{policy:8} {rate:<8g} {shown}  mean share {statistics.mean(shares):.3f} of {len(shares)} games")


def _last_training_return(path: Path) -> float:
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [float(row["value"]) for row in rows if row["name"] == "train_reward/0"][-1]


if __name__ == "__main__":
    main()
