"""`crl queue`: how the runs of a config file stand."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import click

from crl_core.cli.list import aligned
from crl_core.config_file import Entry
from crl_core.queue import Queue, Standing

__all__ = ["queue"]


@click.command()
@click.argument("config_file", type=click.Path(path_type=Path))
@click.option("--output-dir", metavar="DIR", default="runs", show_default=True, help="Where its runs were sent.")
def queue(config_file: Path, output_dir: str) -> None:
    """Show how each run of CONFIG_FILE stands, and how to go on with those that were stopped."""
    found = Queue(config_file, {"output_dir": output_dir})
    standings = [(entry, found.standing(entry)) for entry in found.entries]
    head = ("ENTRY", "STATE", "POLICY", "EXPERIMENT", "STEPS", "LAST SIGN", "RETURNS")
    for line in aligned([head, *(_row(entry, standing) for entry, standing in standings)]):
        click.echo(line)
    for entry, standing in standings:
        if standing.state in {"stale", "interrupted", "failed"}:
            click.echo(f"\nentry {entry.label} is {standing.state}{f': {standing.reason}' if standing.reason else ''}")
            click.echo(f"  {_resume_command(found, entry)}")


def _row(entry: Entry, standing: Standing) -> tuple[str, ...]:
    run = entry.resolved.run
    return (
        entry.label,
        standing.state,
        run.policy,
        run.experiment,
        _progress(standing),
        "" if standing.heartbeat_age is None else f"{timedelta(seconds=round(standing.heartbeat_age))} ago",
        _returns(standing.returns or {}),
    )


def _progress(standing: Standing) -> str:
    if not standing.run_num_timesteps:
        return ""
    done = standing.total_steps / standing.run_num_timesteps
    return f"{standing.total_steps:,}/{standing.run_num_timesteps:,} ({min(done, 1):.0%})"


def _returns(returns: Mapping[int, float]) -> str:
    return "  ".join(f"{task}: {value:.1f}" for task, value in returns.items())


def _resume_command(found: Queue, entry: Entry) -> str:
    parts = ["crl", "run", "--config-file", str(found.path), "--output-dir", str(found.output_dir)]
    return shlex.join([*parts, "--resume-id", entry.label])
