"""Continual benchmarks of MinAtar's games, small enough for a laptop, and the experiment that has one game."""

from __future__ import annotations

import functools

from crl_core.experiment import Experiment
from crl_tasks_minatar.games import Game
from crl_tasks_minatar.task import MinAtarTask

__all__ = [
    "asterix",
    "breakout",
    "freeway",
    "minatar_3_tasks_2_cycles",
    "minatar_5_tasks_2_cycles",
    "seaquest",
    "space_invaders",
]

_STEPS_PER_TASK = 300_000
_EVALUATIONS_PER_TASK = 4
_EPISODES = 10  # one of freeway takes 2500 steps


def minatar_3_tasks_2_cycles() -> Experiment:
    """Three games that start to be learned within 300,000 steps, twice over."""
    return _experiment(("breakout", "space_invaders", "freeway"), cycle_count=2)


def minatar_5_tasks_2_cycles() -> Experiment:
    """All five games, twice over."""
    return _experiment(("breakout", "space_invaders", "freeway", "asterix", "seaquest"), cycle_count=2)


def _experiment(games: tuple[Game, ...], *, cycle_count: int) -> Experiment:
    tasks = tuple(
        MinAtarTask(
            id=game,
            game=game,
            action_space_id=game,
            num_timesteps=_STEPS_PER_TASK,
            continual_eval_num_returns=_EPISODES,
        )
        for game in games
    )
    return Experiment(
        tasks=tasks, cycle_count=cycle_count, continual_testing_freq=_STEPS_PER_TASK // _EVALUATIONS_PER_TASK
    )


asterix = functools.partial(_experiment, ("asterix",), cycle_count=1)
breakout = functools.partial(_experiment, ("breakout",), cycle_count=1)
freeway = functools.partial(_experiment, ("freeway",), cycle_count=1)
seaquest = functools.partial(_experiment, ("seaquest",), cycle_count=1)
space_invaders = functools.partial(_experiment, ("space_invaders",), cycle_count=1)
