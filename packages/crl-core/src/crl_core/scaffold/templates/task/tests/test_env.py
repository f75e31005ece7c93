"""The environment: Gymnasium's own check, and games played by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from gymnasium.utils.env_checker import check_env

from crl_tasks_my_maze.env import SIZE, MyMazeEnv

UP, DOWN, LEFT, RIGHT = (np.int64(action) for action in range(4))
PLAYER = (255, 255, 255)
Image = npt.NDArray[np.uint8]

SQUARES = {"green": (0, 255, 0), "red": (255, 0, 0)}


def cells_of(image: Image, color: tuple[int, int, int]) -> list[list[int]]:
    """Return the row and the column of each cell of a color."""
    cells: list[list[int]] = np.argwhere((image == color).all(axis=-1)).tolist()
    return cells


def walk(env: MyMazeEnv, image: Image, color: tuple[int, int, int]) -> tuple[Image, float]:
    """Walk towards a color until the game is over; return the last image and reward."""
    ((row, column),) = cells_of(image, color)
    for _ in range(2 * SIZE):
        ((at_row, at_column),) = cells_of(image, PLAYER)
        sideways = LEFT if column < at_column else RIGHT
        action = UP if row < at_row else DOWN if row > at_row else sideways
        image, reward, terminated, _, _ = env.step(action)
        if terminated:
            return image, reward
        assert reward == 0
    raise AssertionError("the way to the square did not end the game")


@pytest.mark.parametrize("goal", SQUARES)
def test_gymnasium_finds_no_fault(goal: str) -> None:
    check_env(MyMazeEnv(goal=goal), skip_render_check=True)


@pytest.mark.parametrize("goal", SQUARES)
def test_the_square_that_ends_the_game_decides_the_reward(goal: str) -> None:
    env = MyMazeEnv(goal=goal)
    rewards = set()
    for seed in range(10):
        for color in SQUARES.values():
            image, reward = walk(env, env.reset(seed=seed)[0], color)
            (reached,) = [name for name, square in SQUARES.items() if not cells_of(image, square)]
            assert reward == (1 if reached == goal else -1)
            rewards.add(reward)
    assert rewards == {1, -1}


def test_walls_stop_the_player() -> None:
    env = MyMazeEnv()
    image, _ = env.reset(seed=0)
    ((row, _),) = cells_of(image, PLAYER)
    for _ in range(row + 1):
        image, *_ = env.step(UP)
    ((row, _),) = cells_of(image, PLAYER)
    assert row == 0


def test_the_floor_tells_the_goal() -> None:
    green, red = (MyMazeEnv(goal=goal).reset(seed=0)[0] for goal in SQUARES)
    assert cells_of(green, PLAYER) == cells_of(red, PLAYER)
    assert not np.array_equal(green, red)


def test_an_unknown_goal_is_an_error() -> None:
    with pytest.raises(ValueError, match="the goal is 'blue', but must be one of green, red"):
        MyMazeEnv(goal="blue")
