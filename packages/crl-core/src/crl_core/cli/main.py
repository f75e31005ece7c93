"""`crl`: the group of commands, and what every error becomes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from crl_core.cores import set_default_threads
from crl_core.errors import CrlError, PluginError, UnknownNameError, did_you_mean
from crl_core.plugins import registry
from crl_core.specs import load_object

__all__ = ["COMMANDS", "crl", "main"]

# Each command's line of help and its import path, so that the help imports no command.
COMMANDS = {
    "run": ("Train a policy on an experiment.", "crl_core.cli.run:run"),
    "resume": ("Go on with a run that was stopped or killed.", "crl_core.cli.resume:resume"),
    "eval": ("Evaluate a checkpoint of a run, and film it.", "crl_core.cli.eval:eval_"),
    "queue": ("Show how the runs of a config file stand.", "crl_core.cli.queue:queue"),
    "list": ("List the policies, experiments, task types and runners that are installed.", "crl_core.cli.list:list_"),
    "show": ("Show all there is to know about a policy or an experiment.", "crl_core.cli.show:show"),
    "plugins": ("List the plugins that are installed, and what is wrong with them.", "crl_core.cli.plugins:plugins"),
    "check": ("Check a policy, an experiment or a runner for what the core expects.", "crl_core.cli.check:check"),
    "new": ("Write a new policy or task package.", "crl_core.cli.new:new"),
}


class _CrlGroup(click.Group):
    """Commands of our own and of plugins, each imported only when it is invoked."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *_plugin_commands()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        owner, path = ("crl-core", COMMANDS[cmd_name][1]) if cmd_name in COMMANDS else _plugin_command(cmd_name)
        command = load_object(path, owner=owner)
        if not isinstance(command, click.Command):
            raise PluginError(f"{owner} names '{path}' as a command, but it is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (summary, _) in COMMANDS.items()])
        if added := _plugin_commands():
            with formatter.section("Commands of plugins"):
                formatter.write_dl(list(added.items()))


def _plugin_command(name: str) -> tuple[str, str]:
    """Return who offers a command, and its import path."""
    try:
        entry = registry().command(name)
    except UnknownNameError as error:
        if hint := did_you_mean(name, COMMANDS):
            raise UnknownNameError(f"unknown command '{name}'.{hint} `crl --help` shows all.") from error
        raise
    return entry.owner, entry.spec.command


def _plugin_commands() -> dict[str, str]:
    return {
        entry.full_name if entry.ambiguous else entry.spec.name: entry.spec.summary for entry in registry().commands()
    }


def _leave_out(ctx: click.Context, parameter: click.Parameter, names: Sequence[str]) -> None:
    if names:
        os.environ["CRL_NO_PLUGIN"] = ",".join([*filter(None, [os.environ.get("CRL_NO_PLUGIN")]), *names])


@click.group(cls=_CrlGroup)
@click.version_option(package_name="crl-core", message="crl %(version)s")
@click.option(
    "--no-plugin",
    multiple=True,
    metavar="DIST",
    is_eager=True,  # --help shows the commands of plugins
    expose_value=False,
    callback=_leave_out,
    help="Leave out the plugin of this distribution; may be repeated.",
)
def crl() -> None:
    """Continual reinforcement learning: policies, tasks and experiments from plugins."""


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0, 2 for the user's errors, 130 when interrupted."""
    try:
        result = _invoke(args)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except CrlError as error:
        if os.environ.get("CRL_DEBUG") == "1":
            raise
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    sys.exit(result if isinstance(result, int) else 0)


def _invoke(args: Sequence[str] | None) -> Any:
    set_default_threads()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a batch system's log shows a line when it is said
    return crl.main(args=args, prog_name="crl", standalone_mode=False)
