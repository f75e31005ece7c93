"""`crl resume`: goes on with a run that was stopped or killed."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from crl_core.sessions import read_record, read_status

__all__ = ["resume"]

_log = logging.getLogger(__name__)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--device", help="Where the network lives from now on, instead of where the run was begun.")
def resume(run: Path, device: str | None) -> int:
    """Go on with the run in the directory RUN, from its newest checkpoint."""
    read_record(run)
    status = read_status(run)
    if status is not None and status.get("state") == "finished":
        click.echo(f"{run} is finished; there is nothing to go on with")
        return 0
    # Everything below imports torch.
    from rich.console import Console

    from crl_core.launch import launch
    from crl_core.logs import RunLog
    from crl_core.resume import read_run
    from crl_core.stopping import Interrupted

    console = Console(emoji=False)
    with RunLog(console) as log:
        recorded = read_run(run, device=device)
        for change in recorded.changes:
            _log.warning("since the run was begun, %s", change)
        try:
            launch(recorded.plan, console, log, resume=True)
        except Interrupted:
            return 130
    return 0
