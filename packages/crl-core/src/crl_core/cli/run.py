"""`crl run`: trains a policy on an experiment, or the runs of a config file."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from crl_core.cli.options import find_option
from crl_core.cli.settings_command import SettingsCommand
from crl_core.config_file import policies_named
from crl_core.errors import ConfigError
from crl_core.queue import Queue
from crl_core.resolve import resolve
from crl_core.validation import flag

__all__ = ["run"]

_log = logging.getLogger(__name__)


class _RunCommand(SettingsCommand):
    """Takes the settings of every policy that a config file names, too."""

    def policy_names(self, args: Sequence[str]) -> list[str]:
        config_file = find_option(args, "config_file")
        named = policies_named(Path(config_file)) if config_file is not None else []
        return super().policy_names(args) or named


@click.command(cls=_RunCommand)
@click.option(
    "--config-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A JSON or TOML list of runs: run the first that nobody has started, in <output-dir>/<name of FILE>/.",
)
@click.option("--all", "run_all", is_flag=True, help="With --config-file: go on until no run is left.")
@click.option("--resume-id", metavar="N[:SEED]", help="With --config-file: go on with entry N, or begin it.")
@click.option(
    "--retry-failed", is_flag=True, help="With --config-file: go on with runs that failed, were stopped or killed."
)
@click.option("--dry-run", is_flag=True, help="Print the resolved run as JSON and stop; nothing is written.")
def run(settings: dict[str, Any], *, config_file: Path | None, dry_run: bool, **choices: Any) -> int:
    """Train a policy on an experiment, or the runs of a config file."""
    if config_file is not None:
        return _run_queue(config_file, settings, dry_run=dry_run, **choices)
    given = [name for name, value in choices.items() if value]
    if given:
        raise ConfigError(f"{flag(given[0].removeprefix('run_'))}: is for config files; name one with --config-file")
    return _run_one(settings, dry_run=dry_run)


def _run_one(settings: Mapping[str, Any], *, dry_run: bool) -> int:
    resolved = resolve(settings)
    # Everything below imports torch, so bad settings are told first, and fast.
    from rich.console import Console

    from crl_core.launch import launch
    from crl_core.logs import RunLog
    from crl_core.plan import plan_run
    from crl_core.stopping import Interrupted

    console = Console(stderr=dry_run, emoji=False)
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


def _run_queue(
    config_file: Path,
    flags: Mapping[str, Any],
    *,
    run_all: bool,
    resume_id: str | None,
    retry_failed: bool,
    dry_run: bool,
) -> int:
    if resume_id is not None and (run_all or retry_failed):
        raise ConfigError("--resume-id: names one run; leave out --all and --retry-failed")
    queue = Queue(config_file, flags)
    chosen = queue.entry(resume_id) if resume_id is not None else None
    if chosen is None and not (retry_failed or dry_run) and not any(queue.unclaimed()):
        click.echo(f"{config_file}: every run of it has been started; they are in {queue.directory}")
        return 0
    from rich.console import Console

    from crl_core.logs import RunLog
    from crl_core.queue_runs import begin_or_go_on, check_experiments, plan_entry, run_entries
    from crl_core.stopping import Interrupted

    if chosen is None and not retry_failed:
        check_experiments(queue)
    console = Console(stderr=dry_run, emoji=False)
    if dry_run:
        with RunLog(console):
            plans = [plan_entry(queue, entry) for entry in ([chosen] if chosen else queue.unclaimed())]
        click.echo(json.dumps([plan.record() for plan in plans], indent=1))
        return 0
    try:
        if chosen is not None:
            begin_or_go_on(queue, chosen, console)
            return 0
        return run_entries(queue, console, run_all=run_all, retry_failed=retry_failed)
    except Interrupted:
        return 130
