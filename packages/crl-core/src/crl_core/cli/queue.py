"""`crl queue`: how the runs of a config file stand."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import click

from crl_core.cli.list import aligned
from crl_core.cli.settings_command import SettingsCommand
from crl_core.config_file import Entry, policies_named
from crl_core.queue import Queue, Standing
from crl_core.validation import flag

__all__ = ["queue"]


class _QueueCommand(SettingsCommand):
    """Takes the settings of the policies that the config file, which comes first, names."""

    naming: ClassVar[str] = "CONFIG_FILE"

    def policy_names(self, args: Sequence[str]) -> list[str]:
        return policies_named(Path(args[0])) if args and not args[0].startswith("-") else []


@click.command(cls=_QueueCommand)
@click.argument("config_file", type=click.Path(path_type=Path))
def queue(settings: dict[str, Any], *, config_file: Path) -> None:
    """Show how each run of CONFIG_FILE stands, and how to go on with those that were stopped.

    Give the options that its runs were begun with, --output-dir above all.
    """
    found = Queue(config_file, settings)
    standings = [(entry, found.standing(entry)) for entry in found.entries]
    head = ("ENTRY", "STATE", "POLICY", "EXPERIMENT", "STEPS", "LAST SIGN", "RETURNS")
    for line in aligned([head, *(_row(entry, standing) for entry, standing in standings)]):
        click.echo(line)
    for entry, standing in standings:
        if standing.state in {"stale", "interrupted", "failed"}:
            click.echo(f"\nentry {entry.label} is {standing.state}{f': {standing.reason}' if standing.reason else ''}")
            click.echo(f"  {_resume_command(found, entry)}")
    for entry, standing in standings:
        if standing.state not in {"waiting", "claimed"}:
            for change in found.changes(entry):
                click.echo(f"\nentry {entry.label}: since it was begun, {change}")


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
    flags = [f"{flag(name)}={value}" for name, value in found.flags.items()]
    return shlex.join([*parts, *flags, "--resume-id", entry.label])
