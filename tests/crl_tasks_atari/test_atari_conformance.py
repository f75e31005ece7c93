"""Experiments of Atari games pass the core's checks."""

from __future__ import annotations

from collections.abc import Callable

from crl_core.testing import parametrize_experiment_checks


@parametrize_experiment_checks("breakout")
def test_a_game_with_lives(check: Callable[[], None]) -> None:
    check()


@parametrize_experiment_checks("beam_rider")
def test_a_game_of_long_episodes(check: Callable[[], None]) -> None:
    check()
