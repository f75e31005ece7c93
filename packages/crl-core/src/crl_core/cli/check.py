"""`crl check`: puts a policy, an experiment or a runner to the checks of `crl_core.testing`."""

from __future__ import annotations

import json
import os
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import click

from crl_core.cli.options import SettingOption
from crl_core.cli.settings_command import SettingsCommand, policy_options
from crl_core.errors import ConfigError
from crl_core.plugins import registry

if TYPE_CHECKING:
    from crl_core.testing.checks import Check, Result

__all__ = ["check"]

_WORDS = {"ok": "ok", "failed": "FAILED", "not applicable": "n.a."}
_INDENT = " " * 8

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


class _CheckPolicyCommand(SettingsCommand):
    """Takes the settings of the policy that is its first argument."""

    naming: ClassVar[str] = "NAME"

    def policy_names(self, args: Sequence[str]) -> list[str]:
        return [args[0]] if args and not args[0].startswith("-") else []

    def setting_options(self, policies: Sequence[str]) -> list[SettingOption]:
        return policy_options(policies)


def _reporting(command: CommandT) -> CommandT:
    """Give a command the options that all kinds of check have."""
    only = click.option("--only", multiple=True, metavar="CHECK", help="Run this check alone; may be repeated.")
    as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
    return only(as_json(command))


@click.group()
def check() -> None:
    """Check a policy, an experiment or a runner against what the core expects of it. Exits with 1 where one fails."""


@check.command(cls=_CheckPolicyCommand)
@click.argument("name")
@click.option("--preset", help="Settings of the policy to check it with.  [default: its preset tutorial]")
@_reporting
def policy(settings: dict[str, Any], *, name: str, preset: str | None, only: Sequence[str], as_json: bool) -> int:
    """Check how a policy acts, learns, saves and resumes, on tiny tasks.

    Its settings are options. Give some that learn tiny tasks in seconds, or ship them as the preset tutorial.
    """
    from crl_core.testing.sources import policy_source

    source = policy_source(registry().policy(name), {**settings, **({"preset": preset} if preset else {})})
    # It imports torch, so bad settings are told first, and fast.
    from crl_core.testing.policies import policy_checks

    return _report(policy_checks(source), only, as_json=as_json)


@check.command()
@click.argument("name")
@_reporting
def experiment(name: str, *, only: Sequence[str], as_json: bool) -> int:
    """Check an experiment, and the environments of each of its tasks."""
    from crl_core.testing.experiments import experiment_checks

    return _report(experiment_checks(name), only, as_json=as_json)


@check.command()
@click.argument("name")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Make it with this besides num_envs and num_steps; may be repeated.",
)
@_reporting
def runner(name: str, *, options: Sequence[str], only: Sequence[str], as_json: bool) -> int:
    """Check what an environment runner hands over, and that it leaves nothing behind."""
    entry, given = registry().runner(name), dict(_key_and_value(option) for option in options)
    from crl_core.testing.runners import runner_checks

    return _report(runner_checks(entry.full_name, given), only, as_json=as_json)


def _key_and_value(option: str) -> tuple[str, Any]:
    key, equals, value = option.partition("=")
    if not equals:
        raise ConfigError(f"--option: '{option}' should be KEY=VALUE, such as batch_size=4")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value


def _report(checks: Sequence[Check], only: Sequence[str], *, as_json: bool) -> int:
    """Run checks, tell what comes of each, and return the exit code."""
    from crl_core.testing.checks import run_check, select

    chosen = select(checks, only)
    width = max(len(each.name) for each in chosen)
    results = []
    for each in chosen:
        results.append(run_check(each))
        if not as_json:
            _print(results[-1], width)
    if as_json:
        demands = {each.name: each.demand for each in chosen}
        click.echo(json.dumps([{**asdict(each), "demand": demands[each.name]} for each in results], indent=1))
    else:
        count = Counter(each.outcome for each in results)
        click.echo(
            f"\n{count['ok']} ok, {count['failed']} failed, {count['not applicable']} not applicable, in "
            f"{sum(each.seconds for each in results):.1f} s"
        )
    return int(any(each.outcome == "failed" for each in results))


def _print(result: Result, width: int) -> None:
    click.echo(f"{_WORDS[result.outcome]:<7} {result.name:<{width}}  {result.seconds:6.1f} s")
    if result.message:
        click.echo(textwrap.indent(result.message, _INDENT))
    if result.traceback and os.environ.get("CRL_DEBUG") == "1":
        click.echo(textwrap.indent(result.traceback, _INDENT))
