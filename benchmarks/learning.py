"""Whether policies still learn, forget and remember as they did: a small part of the study of docs/results.md.

    nox -s learning
    python benchmarks/learning.py --record runs/minatar_study/[0-3]

The first makes the runs of `learning.json`, one cycle through three games of MinAtar for each policy, and compares what
evaluations returned with the bands of `learning_bands.json`: every game after its training, and the first game at the
end of the cycle. It fails where a value lies outside its band. The second writes those bands anew from finished runs of
the study: where a further run lies with a probability of 99.5 percent, if returns are normally distributed. A change
that only alters the order of sums therefore fails about once in twenty times. Where those runs had learned a game, or
still remembered the first one at the end, a band never reaches below twice the return of random play; where they had
forgotten it, always up to that.
"""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from pathlib import Path

import click
from intervals import half_width
from study_runs import read_finished

from crl_report.metrics import value_at
from crl_report.records import RunRecord

_BANDS = Path(__file__).with_name("learning_bands.json")
_PROBABILITY = 0.995
_RANDOM = "random"


@click.command()
@click.option("--record", is_flag=True, help="Write the bands instead of comparing with them.")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(record: bool, folders: tuple[Path, ...]) -> None:
    """Compare the runs in FOLDERS with the recorded bands."""
    figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in read_finished(*folders):
        for name, value in _figures(run).items():
            figures[run.policy][name].append(value)
    if record:
        _record(figures)
    else:
        _compare(figures)


def _figures(run: RunRecord) -> dict[str, float]:
    """Return what the run's first cycle came to, by name."""
    ends = [visit.end for visit in run.visits if visit.cycle == 0 and visit.end is not None]
    games = [task.id for task in run.tasks]
    trained = {f"{game}, trained": value_at(run.evaluations[i], ends[i]) for i, game in enumerate(games)}
    return {**trained, f"{games[0]}, at the end": value_at(run.evaluations[0], ends[-1])}


def _record(figures: dict[str, dict[str, list[float]]]) -> None:
    """Write the bands of all policies but random play, whose runs say what is no learning."""
    if _RANDOM not in figures or any(len(values) < 2 for each in figures.values() for values in each.values()):
        raise click.ClickException("name runs of random play, too, and of every policy at least two")
    random = {name: statistics.mean(values) for name, values in figures.pop(_RANDOM).items()}
    unlearned = [
        f"{policy}: {name}"
        for policy, each in figures.items()
        for name, values in each.items()
        if "trained" in name and statistics.mean(values) <= 2 * random[name]
    ]
    if unlearned:
        raise click.ClickException(f"no more than twice what random play returns: {'; '.join(unlearned)}")
    bands = {
        policy: {name: _band(values, random[name]) for name, values in each.items()} for policy, each in figures.items()
    }
    _BANDS.write_text(json.dumps(bands, indent=1) + "\n", encoding="utf-8")


def _band(values: list[float], random: float) -> list[float]:
    mean = statistics.mean(values)
    half = half_width(values, confidence=_PROBABILITY) * math.sqrt(len(values) + 1)  # of a further value
    low, high = mean - half, mean + half
    if mean > 2 * random:
        low = max(low, 2 * random)
    else:
        low, high = min(low, 0.0), max(high, 2 * random)
    return [round(low, 2), round(high, 2)]


def _compare(figures: dict[str, dict[str, list[float]]]) -> None:
    bands = json.loads(_BANDS.read_text(encoding="utf-8"))
    failures = [
        f"{policy}: {name}"
        for policy, of_policy in bands.items()
        for name, band in of_policy.items()
        if not _is_inside(f"{policy}: {name}", figures[policy][name], band)
    ]
    if failures:
        raise click.ClickException(f"outside their bands: {'; '.join(failures)}")


def _is_inside(name: str, values: list[float], band: list[float]) -> bool:
    """Print a figure beside its band; say whether all its values, if there are any, lie inside."""
    low, high = band
    shown = ", ".join(f"{value:.2f}" for value in values) or "no finished run"
    print(f"{name}: {shown} (recorded: {low:g} to {high:g})")
    return bool(values) and all(low <= value <= high for value in values)


if __name__ == "__main__":
    main()
