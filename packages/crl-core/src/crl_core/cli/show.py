"""`crl show`: all there is to know about a policy or an experiment."""

from __future__ import annotations

import click

from crl_core.cli.list import aligned
from crl_core.cli.options import as_text, describe
from crl_core.plugins import registry
from crl_core.policy_settings import policy_config_class, preset_settings

__all__ = ["show"]


@click.group()
def show() -> None:
    """Show all there is to know about a policy or an experiment."""


@show.command()
@click.argument("name")
def policy(name: str) -> None:
    """Show a policy's settings, presets and runners."""
    entry = registry().policy(name)
    config = policy_config_class(entry)
    click.echo(f"policy {entry.spec.name}: {entry.spec.summary}\nfrom {entry.owner}, {entry.spec.policy}")
    click.echo(f"runners: {', '.join(config.supported_runners)}")
    _table("settings", [("NAME", "TYPE", "DEFAULT", "BOUNDS", "MEANING"), *describe(config)])
    for preset in sorted(entry.spec.presets):
        values = preset_settings(entry, preset)
        _table(f"preset {preset}", [(key, as_text(value)) for key, value in values.items()])
    _table("accepted, but ignored", [(key, f"because {why}") for key, why in config.ignored_settings.items()])


@show.command()
@click.argument("name")
def experiment(name: str) -> None:
    """Show an experiment's tasks, in order.

    NAME is what --experiment of `crl run` takes: a registered experiment, gym:<id>, or a .json or .toml file.
    """
    from crl_core.experiment_source import build_experiment  # noqa: PLC0415  # it imports gymnasium, and takes time

    built = build_experiment(name)
    every = built.continual_testing_freq
    click.echo(f"experiment {name}: {len(built.tasks)} tasks, {built.cycle_count} cycles, {built.total_steps:,} steps")
    click.echo(f"evaluated {f'every {every:,} steps' if every else 'at the start and at the end of each task'}")
    head = ("ID", "TYPE", "STEPS", "TRAINED", "EVALUATED", "ACTIONS")
    rows = [
        (
            task.id,
            task.type,
            f"{task.num_timesteps:,}",
            as_text(not task.eval_mode),
            as_text(task.continual_eval),
            str(task.action_space),
        )
        for task in built.tasks
    ]
    _table("tasks", [head, *rows])
    click.echo(f"\nobservations: {built.observation_space}")


def _table(title: str, rows: list[tuple[str, ...]]) -> None:
    if rows:
        click.echo(f"\n{title}:")
        for line in aligned(rows):
            click.echo(f"  {line}")
