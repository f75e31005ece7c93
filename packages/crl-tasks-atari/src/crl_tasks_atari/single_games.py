"""One build function per game, such as `single_games.breakout`, made when it is asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable

from crl_core.errors import did_you_mean
from crl_core.experiment import Experiment
from crl_tasks_atari.experiments import single_game
from crl_tasks_atari.games import EXPERIMENT_NAMES

__all__: list[str] = []


def __getattr__(name: str) -> Callable[[], Experiment]:
    if name not in EXPERIMENT_NAMES:
        raise AttributeError(f"no Atari experiment '{name}'.{did_you_mean(name, EXPERIMENT_NAMES)}")
    return functools.partial(single_game, name)
