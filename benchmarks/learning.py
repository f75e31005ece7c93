"""Whether policies still learn, forget and remember as they did: a small part of the study of docs/results.md.

    nox -s learning
    python benchmarks/learning.py --record runs/minatar_study/0 runs/minatar_study/1 runs/minatar_study/2

The first makes the runs of `learning.json`, a cycle through three games of MinAtar for each policy, and compares their
figures with the bands in `learning_bands.json`; it fails where one lies outside. The second writes those bands anew
from runs of the study: where 99 percent of runs with other seeds lie if figures are normally distributed.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections import defaultdict
from pathlib import Path

import click
from scipy import stats

_BANDS = Path(__file__).with_name("learning_bands.json")


@click.command()
@click.option("--record", is_flag=True, help="Write the bands instead of comparing with them.")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(record: bool, folders: tuple[Path, ...]) -> None:
    """Compare the figures of all runs in FOLDERS with the recorded bands."""
    figures = _figures(folders)
    if record:
        bands = {policy: {name: _band(values) for name, values in each.items()} for policy, each in figures.items()}
        _BANDS.write_text(json.dumps(bands, indent=1) + "\n", encoding="utf-8")
        return
    bands = json.loads(_BANDS.read_text(encoding="utf-8"))
    missing = [f"{policy}: {name}" for policy in bands for name in bands[policy] if name not in figures.get(policy, {})]
    outside = [line for policy in figures for line in _compare(policy, figures[policy], bands[policy])]
    if missing or outside:
        sys.exit("\n".join([*(f"not there: {each}" for each in missing), *outside]))


def _figures(folders: tuple[Path, ...]) -> dict[str, dict[str, list[float]]]:
    """Return by policy and name what each run came to in its first cycle."""
    figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in sorted(record.parent for folder in folders for record in folder.rglob("run.json")):
        settings = json.loads((run / "run.json").read_text(encoding="utf-8"))
        games = [task["id"] for task in settings["experiment"]["tasks"]]
        rows = map(json.loads, (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
        last = {(row["task"], row["name"]): float(row["value"]) for row in rows if row["cycle"] == 0}
        of_policy = figures[settings["policy"]["name"]]
        for index, game in enumerate(games):
            of_policy[f"{game}, trained"].append(last[index, f"train_reward/{index}"])
            of_policy[f"{game}, at the end of the cycle"].append(last[len(games) - 1, f"eval_reward/{index}"])
    return figures


def _band(values: list[float]) -> list[float]:
    """Return where a further value lies with 99 percent probability, at least 10 percent of the mean around it."""
    mean = statistics.mean(values)
    half = stats.t.ppf(0.995, len(values) - 1) * statistics.stdev(values) * math.sqrt(1 + 1 / len(values))
    half = max(half, abs(mean) / 10)
    return [round(mean - half, 2), round(mean + half, 2)]


def _compare(policy: str, figures: dict[str, list[float]], bands: dict[str, list[float]]) -> list[str]:
    """Print all figures of a policy; return a line for each that lies outside its band."""
    outside = []
    for name, values in figures.items():
        low, high = bands[name]
        for value in values:
            line = f"{policy}: {name}: {value:.2f}, recorded {low:g} to {high:g}"
            print(line)
            if not low <= value <= high:
                outside.append(f"outside: {line}")
    return outside


if __name__ == "__main__":
    main()
