"""What the scripts of the studies share: the runs they are given, and the evaluations they write."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import click

from crl_report.reading import ReportError, find_runs, read_runs
from crl_report.records import RunRecord

__all__ = ["evaluations_option", "folder_argument", "read_finished", "write_evaluations"]

evaluations_option = click.option(
    "--evaluations",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="A CSV file to write all evaluations to.",
)
folder_argument = click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))


def read_finished(*folders: Path) -> list[RunRecord]:
    """Return the finished runs in folders, and tell on stderr which runs are not.

    Raises:
        click.ClickException: a folder has no run in it.
    """
    try:
        records, notes = read_runs(find_runs(map(str, folders)))
    except ReportError as error:
        raise click.ClickException(str(error)) from error
    for note in notes:
        click.echo(note, err=True)
    for run in records:
        if not run.finished:
            click.echo(f"left out, as it is not finished: {run.source}", err=True)
    return [run for run in records if run.finished]


def write_evaluations(path: Path, runs: Iterable[tuple[int, RunRecord]]) -> None:
    """Write every evaluation as CSV, by the entries of a config file that runs are of, and by seed."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["entry", "policy", "seed", "game", "step", "mean_return"])
        for entry, run in sorted(runs, key=lambda each: (each[0], each[1].seed)):
            for index, curve in run.evaluations.items():
                where = [entry, run.policy, run.seed, run.tasks[index].id]
                for step, value in zip(curve.steps, curve.values, strict=True):
                    writer.writerow([*where, int(step), f"{value:g}"])
