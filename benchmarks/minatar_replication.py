"""Hypotheses 3 and 4 of docs/results.md again, answered from other seeds than the study's.

    crl run --config-file configs/minatar_replication.json --all
    python benchmarks/minatar_replication.py runs/minatar_replication

All is computed as in the study; every game is divided by the largest return of these runs. Runs that have not come to
their end are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from hypotheses import (
    CLEAR,
    IMPALA,
    Groups,
    forgetting_of_runs,
    print_forgetting,
    print_hypothesis_3,
    print_hypothesis_4,
    print_returns,
)
from study_runs import evaluations_option, folder_argument, read_finished, write_evaluations

from crl_core.config_file import read_config_file
from crl_report.analysis import analyse
from crl_report.groups import group_runs, refuse_mixed_experiments
from crl_report.reading import ReportError
from crl_report.records import RunRecord

_CONFIG = Path(__file__).parent.with_name("configs") / "minatar_replication.json"
_NAMES = {"impala": IMPALA, "clear": CLEAR}


@click.command()
@evaluations_option
@folder_argument
def main(evaluations: Path | None, folder: Path) -> None:
    """Print the answers from the runs in FOLDER."""
    runs = read_finished(folder)
    entries = _entries(runs)
    groups = _groups(runs, folder)
    if evaluations is not None:
        write_evaluations(evaluations, zip(entries, runs, strict=True))
    games = [task.id for task in groups[IMPALA].runs[0].record.tasks]
    print_returns(groups, games)
    forgetting = {name: forgetting_of_runs(group) for name, group in groups.items()}
    print_forgetting(forgetting)
    print_hypothesis_3(forgetting)
    print_hypothesis_4(groups, len(games) - 1)


def _groups(runs: Sequence[RunRecord], folder: Path) -> Groups:
    """Return the runs of IMPALA and of CLEAR, each of one group of settings.

    Raises:
        click.ClickException: there are none of one of them, or others, or runs of different experiments.
    """
    found = group_runs(runs)
    if sorted(group.label for group in found) != sorted(_NAMES):
        labels = ", ".join(group.label for group in found) or "nothing"
        raise click.ClickException(f"{folder} has finished runs of {labels}, where impala and clear were expected")
    try:
        refuse_mixed_experiments(runs)
    except ReportError as error:
        raise click.ClickException(str(error)) from error
    return {_NAMES[group.label]: each for group, each in zip(found, analyse(found).groups, strict=True)}


def _entries(runs: Sequence[RunRecord]) -> list[int]:
    """Return the entry of the config file that each run is of, and tell on stderr which runs of it are lacking.

    Raises:
        click.ClickException: a run is of a policy, an experiment or a seed that was not written down beforehand.
    """
    wanted = {
        (run.policy, run.experiment, run.seed): entry.index
        for entry in read_config_file(_CONFIG, {})
        for run in [entry.resolved.run]
    }
    found = {(run.policy, run.experiment, run.seed): run.source for run in runs}
    for policy, experiment, seed in wanted:
        if (policy, experiment, seed) not in found:
            click.echo(f"no finished run of {policy} on {experiment} with seed {seed}", err=True)
    for (policy, experiment, seed), source in found.items():
        if (policy, experiment, seed) not in wanted:
            raise click.ClickException(
                f"{source} is {policy} on {experiment} with seed {seed}, which {_CONFIG.name} has not"
            )
    return [wanted[run.policy, run.experiment, run.seed] for run in runs]


if __name__ == "__main__":
    main()
