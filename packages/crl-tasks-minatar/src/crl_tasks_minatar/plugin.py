"""What this package registers."""

from __future__ import annotations

from collections.abc import Iterable

from crl_core.hookspecs import hookimpl
from crl_core.specs import ExperimentSpec, TaskTypeSpec
from crl_tasks_minatar.games import GAMES

__all__ = ["crl_experiments", "crl_task_types"]


@hookimpl
def crl_task_types() -> Iterable[TaskTypeSpec]:
    """Register the task type `minatar`."""
    yield TaskTypeSpec(
        name="minatar",
        summary="A game of MinAtar, a small grid that shows the objects of an Atari game.",
        task="crl_tasks_minatar.task:MinAtarTask",
    )


@hookimpl
def crl_experiments() -> Iterable[ExperimentSpec]:
    """Register the continual benchmarks and one experiment per game."""
    three_games = "crl_tasks_minatar.experiments:minatar_3_tasks_2_cycles"
    yield ExperimentSpec(
        name="minatar_3_tasks_2_cycles",
        summary="Breakout, SpaceInvaders, Freeway of MinAtar: 300,000 steps each, 2 cycles",
        build=three_games,
    )
    yield ExperimentSpec(name="minatar", summary="Another name for minatar_3_tasks_2_cycles", build=three_games)
    yield ExperimentSpec(
        name="minatar_5_tasks_2_cycles",
        summary="All five games of MinAtar: 300,000 steps each, 2 cycles",
        build="crl_tasks_minatar.experiments:minatar_5_tasks_2_cycles",
    )
    for game in GAMES:
        yield ExperimentSpec(
            name=f"minatar_{game}",
            summary=f"MinAtar's game {game}: 300,000 steps",
            build=f"crl_tasks_minatar.experiments:{game}",
        )
