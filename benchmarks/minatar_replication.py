"""Hypotheses 3 and 4 of docs/results.md again, answered from other seeds than the study's.

    crl run --config-file configs/minatar_replication.json --all
    python benchmarks/minatar_replication.py runs/minatar_replication

All is computed as in the study; every game is divided by the largest return of these runs. Runs that have not come to
their end are left out.
"""

from __future__ import annotations

from pathlib import Path

import click
from minatar_study import CLEAR, IMPALA, Groups, print_forgetting, print_fourth, print_returns, print_third
from study_runs import read_finished

from crl_report.analysis import analyse
from crl_report.groups import group_runs, refuse_mixed_experiments
from crl_report.reading import ReportError

_NAMES = {"impala": IMPALA, "clear": CLEAR}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(folder: Path) -> None:
    """Print the answers from the runs in FOLDER."""
    groups = _groups(folder)
    games = [task.id for task in groups[IMPALA].runs[0].record.tasks]
    print_returns(groups, games)
    print_third(print_forgetting(groups))
    print_fourth(groups, len(games) - 1)


def _groups(folder: Path) -> Groups:
    """Return the runs of IMPALA and of CLEAR, each of one group of settings.

    Raises:
        click.ClickException: there are none of one of them, or others, or runs of different experiments.
    """
    runs = read_finished(folder)
    found = group_runs(runs)
    if sorted(group.label for group in found) != sorted(_NAMES):
        labels = ", ".join(group.label for group in found) or "nothing"
        raise click.ClickException(
            f"{folder} has finished runs of {labels}, where one impala and one clear were expected"
        )
    try:
        refuse_mixed_experiments(runs)
    except ReportError as error:
        raise click.ClickException(str(error)) from error
    return {_NAMES[group.label]: each for group, each in zip(found, analyse(found).groups, strict=True)}


if __name__ == "__main__":
    main()
