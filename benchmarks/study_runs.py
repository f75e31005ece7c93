"""The runs that the scripts of the studies are given."""

from __future__ import annotations

from pathlib import Path

import click

from crl_report.reading import ReportError, find_runs, read_runs
from crl_report.records import RunRecord

__all__ = ["read_finished"]


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
