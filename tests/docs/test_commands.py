"""Every `crl` command line of README.md and docs/ is one that `crl` understands. None of them is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from tests.docs.markdown import PAGES, ROOT, commands

from crl_core.cli.main import crl
from crl_core.experiment_names import check_experiment
from crl_core.plugins import registry
from crl_core.queue import Queue
from crl_core.resolve import resolve

Parsed = tuple[str, Mapping[str, Any]]


def parse(group: click.Group, arguments: Sequence[str], parent: click.Context | None = None) -> Parsed:
    """Return the command that arguments name, such as `show policy`, and the values they give its parameters.

    Raises:
        ClickException: there is no such command or option, or an argument is missing.
        CrlError: the same of settings, or a policy they name is unknown.
    """
    context = click.Context(group, parent=parent)
    _, rest, _ = group.make_parser(context).parse_args(list(arguments))
    if not rest:
        return "", {}  # `crl --help`
    name, *rest = rest
    command = group.get_command(context, name)
    assert command is not None, f"there is no command {name}"
    if isinstance(command, click.Group):
        inner, values = parse(command, rest, context)
        return f"{name} {inner}".strip(), values
    try:
        return name, command.make_context(name, rest, parent=context).params
    except click.exceptions.Exit:
        return f"{name} --help", {}


def check_run(values: Mapping[str, Any]) -> None:
    if values["config_file"] is None:
        resolve(values["settings"])
        return
    queue = Queue(values["config_file"], values["settings"])
    if values["resume_id"] is not None:
        queue.entry(values["resume_id"])


# What the parser leaves open: whether what is named exists.
VALUES: dict[str, Callable[[Mapping[str, Any]], object]] = {
    "run": check_run,
    "queue": lambda values: Queue(values["config_file"], {}),
    **{f"{verb} policy": lambda values: registry().policy(values["name"]) for verb in ("show", "check")},
    **{f"{verb} experiment": lambda values: check_experiment(values["name"]) for verb in ("show", "check")},
    "check runner": lambda values: registry().runner(values["name"]),
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_understood(page: Path, follow: Callable[[Path], None]) -> None:
    follow(page)
    for arguments in commands(page):
        try:
            name, values = parse(crl, arguments)
            VALUES.get(name, lambda values: None)(values)
        except Exception as error:
            raise AssertionError(f"{page.name}: crl {' '.join(arguments)}: {error}") from error


@pytest.mark.parametrize(
    "line",
    [
        "crl trian",
        "crl run --policy ppo --experiment tutorial --lerning-rate 1",
        "crl run --policy ppo --experiment tutorial --learning-rate fast",
        "crl run --policy ppo --experiment no_such_experiment",
        "crl run --policy ppo --experiment tutorial --runner pipelined",
        "crl run --config-file no_such_file.json",
        "crl show policy no-such-policy",
        "crl list nonsense",
        "crl queue",
    ],
)
def test_mistakes_would_be_noticed(line: str, tmp_path: Path, follow: Callable[[Path], None]) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"```\nCRL_DEBUG=1 {line}  # a comment\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md: crl"):
        test_commands_are_understood(page, follow)
