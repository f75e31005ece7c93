"""`crl plugins`: every plugin, its state, and what is wrong with it."""

from __future__ import annotations

import dataclasses
import json

import click

from crl_core.cli.list import aligned
from crl_core.plugins import Plugin, discover, excluded_distributions
from crl_core.specs import CommandSpec, ExperimentSpec, PolicySpec, RunnerSpec, Spec, TaskTypeSpec

__all__ = ["plugins"]

_KINDS: dict[type[Spec], str] = {
    PolicySpec: "policies",
    ExperimentSpec: "experiments",
    TaskTypeSpec: "tasks",
    RunnerSpec: "runners",
    CommandSpec: "commands",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def plugins(as_json: bool) -> int:
    """List the plugins that are installed. Exits with 1 when one is broken or made for another version."""
    # Found anew rather than by registry(), which refuses to answer where CRL_STRICT_PLUGINS is set.
    found = discover(exclude=excluded_distributions()).plugins
    if as_json:
        click.echo(json.dumps([_record(plugin) for plugin in found], indent=2))
    else:
        _print(found)
    return int(any(plugin.faulty for plugin in found))


def _print(found: tuple[Plugin, ...]) -> None:
    head = ("STATE", "DISTRIBUTION", "VERSION", "IMPORT", "OFFERS")
    rows = [
        (each.state, each.distribution, each.version, f"{each.import_seconds:.3f} s", _offers(each)) for each in found
    ]
    for line in aligned([head, *rows]):
        click.echo(line)
    for plugin in found:
        if plugin.faulty:
            click.echo(f"\n{plugin.distribution} {plugin.version} ({plugin.value}) is {plugin.state}: {plugin.error}")
            click.echo("".join(f"  {line}\n" for line in plugin.traceback.splitlines()), nl=False)


def _offers(plugin: Plugin) -> str:
    by_kind = _by_kind(plugin)
    return "; ".join(f"{kind}: {_shortened(names)}" for kind, names in by_kind.items()) or plugin.error


def _shortened(names: list[str]) -> str:
    shown = 6
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def _record(plugin: Plugin) -> dict[str, object]:
    record = {field.name: getattr(plugin, field.name) for field in dataclasses.fields(plugin) if field.name != "specs"}
    return {**record, "offers": _by_kind(plugin)}


def _by_kind(plugin: Plugin) -> dict[str, list[str]]:
    names = {word: [spec.name for spec in plugin.specs if isinstance(spec, kind)] for kind, word in _KINDS.items()}
    return {word: offered for word, offered in names.items() if offered}
