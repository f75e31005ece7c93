"""The continual Atari benchmarks of CORA (Powers et al., 2022), and the experiment that has one game."""

from __future__ import annotations

from crl_core.experiment import Experiment
from crl_tasks_atari.games import EXPERIMENT_NAMES
from crl_tasks_atari.task import AtariTask

__all__ = ["atari_6_tasks_5_cycles", "mini_atari_3_tasks_3_cycles", "single_game"]

_STEPS_PER_TASK = 50_000_000
_STEPS_BETWEEN_EVALUATIONS = 250_000


def atari_6_tasks_5_cycles() -> Experiment:
    """Six games, five times over, all with the full action set."""
    games = ("space_invaders", "krull", "beam_rider", "hero", "star_gunner", "ms_pacman")
    return _sequence(games, cycle_count=5)


def mini_atari_3_tasks_3_cycles() -> Experiment:
    """Three of the six games, three times over."""
    return _sequence(("space_invaders", "beam_rider", "ms_pacman"), cycle_count=3)


def single_game(name: str) -> Experiment:
    """One game with its minimal action set.

    Args:
        name: the experiment's name, one of `EXPERIMENT_NAMES`.
    """
    task = AtariTask(id=name, game=EXPERIMENT_NAMES[name], num_timesteps=_STEPS_PER_TASK)
    return Experiment(tasks=(task,), continual_testing_freq=_STEPS_BETWEEN_EVALUATIONS)


def _sequence(games: tuple[str, ...], *, cycle_count: int) -> Experiment:
    tasks = tuple(
        AtariTask(id=game, game=game, num_timesteps=_STEPS_PER_TASK, full_action_space=True) for game in games
    )
    return Experiment(tasks=tasks, cycle_count=cycle_count, continual_testing_freq=_STEPS_BETWEEN_EVALUATIONS)
