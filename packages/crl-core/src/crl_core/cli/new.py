"""`crl new`: writes a package for a new policy or new tasks."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from crl_core.scaffold.names import Kind, Names, choose_names
from crl_core.scaffold.render import LICENSES, render
from crl_core.scaffold.write import write_package

__all__ = ["new"]

_TRY: dict[Kind, tuple[str, str]] = {
    "policy": ("crl run --policy {name} --experiment tutorial --preset tutorial", "crl check policy {name}"),
    "task": ("crl run --policy random --experiment {name} --num-timesteps 5000", "crl check experiment {name}"),
}


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for decorate in (
        click.option(
            "--license",
            "license_name",
            type=click.Choice([*LICENSES, "none"]),
            default="mit",
            show_default=True,
            help="The package's license.",
        ),
        click.option("--author", metavar="TEXT", help="Who holds the copyright. [the authors of the package]"),
        click.option("--distribution", metavar="TEXT", help="What pip calls the package. [derived from NAME]"),
        click.option(
            "--output-dir",
            type=click.Path(path_type=Path),
            metavar="DIRECTORY",
            help="The package's directory, which must not exist or be empty. [the distribution's name]",
        ),
        click.argument("name"),
    ):
        command = decorate(command)
    return command


@click.group()
def new() -> None:
    """Write a package that works as it is, with tests, for you to change, to license and to publish."""


@new.command()
@_options
def policy(**options: Any) -> None:
    """Write a package with a policy called NAME, which learns as an advantage actor-critic."""
    _write("policy", **options)


@new.command()
@_options
def task(**options: Any) -> None:
    """Write a package with an experiment called NAME, of two tasks in an environment of its own."""
    _write("task", **options)


def _write(
    kind: Kind, *, name: str, output_dir: Path | None, distribution: str | None, author: str | None, license_name: str
) -> None:
    names = choose_names(kind, name, distribution)
    directory = output_dir or Path(names.distribution)
    files = render(kind, names, author=author, license_name=license_name)
    write_package(directory, files)
    click.echo(f"{directory}:")
    for path in files:
        click.echo(f"  {path}")
    click.echo(_next(kind, names, directory))


def _next(kind: Kind, names: Names, directory: Path) -> str:
    commands = [f"cd {shlex.quote(str(directory))}", 'python -m pip install -e ".[dev]"', "pytest"]
    commands += [command.format(name=names.name) for command in _TRY[kind]]
    return "\n".join(["\nNow:", *(f"  {command}" for command in commands)])
