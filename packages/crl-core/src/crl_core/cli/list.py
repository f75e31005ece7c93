"""`crl list`: what is installed, by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import click

from crl_core.plugins import Registered, Registry, registry

__all__ = ["aligned", "list_", "warn_of_faulty"]

_KINDS: dict[str, Callable[[Registry], Sequence[Registered[Any]]]] = {
    "policies": Registry.policies,
    "experiments": Registry.experiments,
    "tasks": Registry.task_types,
    "runners": Registry.runners,
}


@click.command("list")
@click.argument("kind", required=False, type=click.Choice(list(_KINDS)))
def list_(kind: str | None) -> None:
    """List what is installed: all kinds, or one."""
    found = registry()
    for each in [kind] if kind else _KINDS:
        rows = aligned([_row(entry) for entry in _KINDS[each](found)]) or ["none is installed"]
        if kind is None:
            click.echo(f"{each}:")
        for row in rows:
            click.echo(row if kind else f"  {row}")
    warn_of_faulty(found)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows as lines whose columns stand under each other, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def warn_of_faulty(found: Registry) -> None:
    """Say on standard error how many plugins do not work, if any."""
    states = Counter(plugin.state for plugin in found.plugins if plugin.faulty)
    for state, count in sorted(states.items()):
        click.echo(f"{count} plugin{'s are' if count > 1 else ' is'} {state}: see `crl plugins`", err=True)


def _row(entry: Registered[Any]) -> list[str]:
    conflict = f"conflict: say {entry.full_name}" if entry.ambiguous else ""
    return [entry.spec.name, entry.spec.summary, entry.owner, conflict]
