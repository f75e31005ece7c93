"""`crl run`: trains a policy on an experiment."""

from __future__ import annotations

import json
import logging
from typing import Any

import click

from crl_core.cli.settings_command import SettingsCommand
from crl_core.resolve import resolve

__all__ = ["run"]

_log = logging.getLogger(__name__)


@click.command(cls=SettingsCommand)
@click.option("--dry-run", is_flag=True, help="Print the resolved run as JSON and stop; nothing is written.")
def run(settings: dict[str, Any], *, dry_run: bool) -> int:
    """Train a policy on an experiment."""
    resolved = resolve(settings)
    # Everything below imports torch, so bad settings are told first, and fast.
    from rich.console import Console

    from crl_core.launch import launch
    from crl_core.logs import RunLog
    from crl_core.plan import plan_run
    from crl_core.stopping import Interrupted

    console = Console(stderr=dry_run)
    with RunLog(console) as log:
        for warning in resolved.warnings:
            _log.warning(warning)
        plan = plan_run(resolved.run, resolved.policy)
        if dry_run:
            click.echo(json.dumps(plan.record(), indent=1))
            return 0
        try:
            launch(plan, console, log)
        except Interrupted:
            return 130
    return 0
