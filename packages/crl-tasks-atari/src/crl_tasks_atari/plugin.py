"""What this package registers."""

from __future__ import annotations

from collections.abc import Iterable

from crl_core.hookspecs import hookimpl
from crl_core.specs import ExperimentSpec, TaskTypeSpec
from crl_tasks_atari.games import EXPERIMENT_NAMES

__all__ = ["crl_experiments", "crl_task_types"]

_SIX_GAMES = "SpaceInvaders, Krull, BeamRider, Hero, StarGunner, MsPacman: 50M steps each, 5 cycles"


@hookimpl
def crl_task_types() -> Iterable[TaskTypeSpec]:
    """Register the task type `atari`."""
    yield TaskTypeSpec(
        name="atari", summary="A game of the Atari 2600, preprocessed as usual.", task="crl_tasks_atari.task:AtariTask"
    )


@hookimpl
def crl_experiments() -> Iterable[ExperimentSpec]:
    """Register the continual benchmarks and one experiment per game."""
    six_games = "crl_tasks_atari.experiments:atari_6_tasks_5_cycles"
    yield ExperimentSpec(name="atari_6_tasks_5_cycles", summary=_SIX_GAMES, build=six_games)
    yield ExperimentSpec(name="atari", summary="Another name for atari_6_tasks_5_cycles", build=six_games)
    yield ExperimentSpec(
        name="mini_atari_3_tasks_3_cycles",
        summary="SpaceInvaders, BeamRider, MsPacman: 50M steps each, 3 cycles",
        build="crl_tasks_atari.experiments:mini_atari_3_tasks_3_cycles",
    )
    for name, game in EXPERIMENT_NAMES.items():
        yield ExperimentSpec(
            name=name,
            summary=f"The Atari game {game}: 50M steps, its minimal action set",
            build=f"crl_tasks_atari.single_games:{name}",
        )
