"""Whether speed costs learning: returns of IMPALA as it runs by default, and plain: fp32, one thread, no overlap.

    crl run --config-file benchmarks/fast_and_plain.json --all --num-timesteps 300000 --num-actors 32 --no-initial-eval
    python benchmarks/fast_and_plain.py runs/fast_and_plain

The first command takes hours; it can be interrupted, gone on with (`--retry-failed`) and shared out among processes.
The second compares, for each game, what the last hundred training games returned (`train_reward`) at the end of each
seed's run: means over seeds, with the 95 percent interval of Student's t.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from pathlib import Path

import click
from intervals import half_width


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(folder: Path) -> None:
    """Print each game's returns with both settings."""
    returns: dict[tuple[str, str], list[float]] = defaultdict(list)
    lags: list[float] = []
    for record in sorted(folder.glob("*/seed_*/run.json")):
        run = record.parent
        if json.loads((run / "status.json").read_text(encoding="utf-8"))["state"] != "finished":
            print(f"left out, not finished: {run}")
            continue
        settings = json.loads(record.read_text(encoding="utf-8"))
        kind = "plain" if settings["policy"]["settings"]["deterministic"] else "fast"
        rewards = _rows(run / "metrics.jsonl", "train_reward/0")
        if rewards:
            returns[settings["experiment"]["name"], kind].append(rewards[-1])
        if kind == "fast":
            lags += _rows(run / "timing.jsonl", "policy_lag_max")
    for game in sorted({game for game, _ in returns}):
        print(f"{game:16}", *(f"{kind}: {_interval(returns[game, kind])}" for kind in ("fast", "plain")), sep="  ")
    if lags:
        print(f"largest lag of the acting weights: {max(lags):.0f} updates")


def _rows(path: Path, name: str) -> list[float]:
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [float(row["value"]) for row in rows if row["name"] == name]


def _interval(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values or 'none'}"
    half = half_width(values)
    return f"{statistics.mean(values):7.1f} +- {half:.1f} {[round(value, 1) for value in values]}"


if __name__ == "__main__":
    main()
