"""MinAtar's games behind one vector environment: against the library's own environment, and at ends of episodes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from crl_core.errors import EnvironmentFailure
from crl_core.testing import parametrize_experiment_checks
from crl_tasks_minatar.envs import MinAtarEnvs
from crl_tasks_minatar.games import GAMES, Game
from crl_tasks_minatar.task import MinAtarTask


def make(game: Game, num_envs: int, *, limit: int = 10_000, seed: int = 0) -> MinAtarEnvs:
    envs = MinAtarEnvs(game, num_envs, sticky_action_prob=0.1, difficulty_ramping=True, max_episode_steps=limit)
    envs.reset(seed=np.arange(seed, seed + num_envs, dtype=np.int32))
    return envs


def originals(game: str, num_envs: int, *, seed: int = 0) -> list[Any]:
    """Return the library's own environments, seeded and reset."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it draws with
        from minatar import Environment  # noqa: PLC0415  # it imports matplotlib, which takes seconds

    environments = []
    for each in range(seed, seed + num_envs):
        environments.append(Environment(game, sticky_action_prob=0.1))
        environments[-1].seed(each)
        environments[-1].reset()
    return environments


def shown(environment: Any) -> npt.NDArray[np.uint8]:
    """Return what an observation of the library's environment is here, the slow way."""
    padded = np.zeros((10, 10, 10), np.uint8)
    state = environment.state()
    for y, x, channel in np.argwhere(state):
        padded[channel, y, x] = 255
    return padded


@pytest.mark.parametrize("game", GAMES)
def test_games_are_those_of_the_library(game: str) -> None:
    num_envs = 3
    envs, expected = make(game, num_envs), originals(game, num_envs)
    actions = expected[0].minimal_action_set()
    assert len(actions) == envs.single_action_space.n
    chosen = np.random.default_rng(0).integers(len(actions), size=(600, num_envs))
    over = [False] * num_envs
    episodes = 0
    for row in chosen:
        observations, rewards, terminated, truncated, _ = envs.step(row)
        for index, environment in enumerate(expected):
            reward, done = (environment.reset() or 0, False) if over[index] else environment.act(actions[row[index]])
            assert (rewards[index], terminated[index], truncated[index]) == (reward, done, False)
            assert np.array_equal(observations[index], shown(environment))
            over[index] = done
            episodes += done
    assert episodes or game == "freeway"  # whose games last 2,501 steps


def test_an_episode_that_is_cut_off_is_truncated_and_not_terminated() -> None:
    envs = make("freeway", 2, limit=3)
    ends = [tuple(each[0] for each in envs.step([0, 0])[2:4]) for _ in range(8)]
    assert ends == [(False, False), (False, False), (False, True), (False, False)] * 2  # the fourth row is a reset


def test_a_game_that_ends_at_the_limit_is_terminated() -> None:
    last = make("breakout", 1)
    steps = next(step for step in range(1, 1000) if last.step([0])[2][0])
    envs = make("breakout", 1, limit=steps)
    *_, (_, _, terminated, truncated, _) = (envs.step([0]) for _ in range(steps))
    assert (terminated[0], truncated[0]) == (True, False)


def test_a_reset_after_an_end_begins_at_once() -> None:
    envs = make("freeway", 1, limit=3)
    *_, (_, _, _, truncated, _) = (envs.step([0]) for _ in range(3))
    assert truncated[0]
    envs.reset()
    ends = [bool(envs.step([0])[3][0]) for _ in range(3)]
    assert ends == [False, False, True]  # no row of them is another reset


def test_freeway_ends_by_itself_a_step_after_the_limit_of_the_task() -> None:
    task = MinAtarTask(id="freeway", game="freeway", num_timesteps=10)
    envs = make("freeway", 1)
    ends = [envs.step([0])[2][0] for _ in range(task.max_episode_steps + 1)]
    assert ends == [False] * task.max_episode_steps + [True]


def test_copies_that_are_kept_go_on_as_before() -> None:
    everything, some = make("asterix", 4), make("asterix", 4)
    for _ in range(20):
        everything.step([1, 2, 3, 4])
        some.step([1, 2, 3, 4])
    some.keep([1, 3])
    assert some.num_envs == 2
    for _ in range(200):
        expected, found = everything.step([1, 2, 3, 4]), some.step([2, 4])
        for all_of_them, kept in zip(expected[:4], found[:4], strict=True):
            assert np.array_equal(all_of_them[[1, 3]], kept)


def test_an_action_that_a_game_lacks_is_told() -> None:
    envs = make("breakout", 2)
    with pytest.raises(EnvironmentFailure, match=r"'breakout' has actions 0 to 2, but got \[0, 3\]"):
        envs.step([0, 3])


def test_pictures_show_the_topmost_object_of_a_cell() -> None:
    envs = make("breakout", 1)
    (picture,) = envs.render()
    assert picture.shape == (160, 160, 3)
    cells = picture[::16, ::16]
    assert np.array_equal(cells.repeat(16, axis=0).repeat(16, axis=1), picture)
    bricks = {tuple(cell) for cell in cells[1:4].reshape(-1, 3)}
    assert len(bricks) <= 2  # and perhaps the ball
    assert tuple(cells[5, 5]) == (0, 0, 0)


def test_seeds_are_one_for_each_copy() -> None:
    task = MinAtarTask(id="asterix", game="asterix", num_timesteps=10)
    first, second = (task.make_envs(2, seeds=np.array(seeds, np.int32), evaluation=False) for seeds in ([3, 4], [4, 9]))
    first.reset()
    second.reset()
    for _ in range(100):
        one, other = first.step([0, 0]), second.step([0, 0])
        assert np.array_equal(one[0][1], other[0][0])
    assert not np.array_equal(one[0][0], other[0][1])


@parametrize_experiment_checks("minatar_5_tasks_2_cycles")
def test_the_games_pass_the_cores_checks(check: Callable[[], None]) -> None:
    check()
