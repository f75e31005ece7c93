"""Two tiny image tasks that train in seconds: catch a falling ball; then, with colours and controls swapped, again."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete

from crl_core.experiment import Experiment
from crl_core.gymnasium_tasks import ImageTask

__all__ = ["Catch", "tutorial"]

_SIZE = 6
Image = npt.NDArray[np.uint8]


class Catch(gymnasium.Env[Image, np.int64]):
    """A ball falls one row a step from a random column; the player on the bottom row moves left, stays or moves right.

    The episode ends when the ball reaches the bottom row, with reward 1 for a catch and -1 for a miss. In the
    mirrored game left is right, which the swapped colours tell: who has learned one game and does not look at the
    colours loses the other.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  # Gymnasium declares it so

    def __init__(self, *, mirrored: bool = False) -> None:
        """Make a game; `mirrored` swaps the colours, and left and right."""
        self.observation_space = Box(0, 255, (_SIZE, _SIZE), np.uint8)
        self.action_space = Discrete(3)
        self._mirrored = mirrored
        self._row = self._ball = self._player = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Image, dict[str, Any]]:
        """Drop a new ball."""
        super().reset(seed=seed)
        self._row = 0
        self._ball, self._player = (int(column) for column in self.np_random.integers(_SIZE, size=2))
        return self._image(), {}

    def step(self, action: np.int64) -> tuple[Image, float, bool, bool, dict[str, Any]]:
        """Move the player, then the ball."""
        move = 1 - int(action) if self._mirrored else int(action) - 1
        self._player = min(max(self._player + move, 0), _SIZE - 1)
        self._row += 1
        over = self._row == _SIZE - 1
        reward = (1.0 if self._ball == self._player else -1.0) if over else 0.0
        return self._image(), reward, over, False, {}

    def _image(self) -> Image:
        image = np.zeros((_SIZE, _SIZE), np.uint8)
        image[self._row, self._ball] = 255
        image[_SIZE - 1, self._player] = 255
        return 255 - image if self._mirrored else image


def tutorial() -> Experiment:
    """Return the experiment: the game, then the mirrored game, 30,000 steps each."""
    tasks = tuple(
        ImageTask(
            id=name,
            env="crl_core.tutorial:Catch",
            env_kwargs={"mirrored": name == "mirrored_catch"},
            num_timesteps=30_000,
            continual_eval_num_returns=50,
            eval_max_steps=_SIZE,
        )
        for name in ("catch", "mirrored_catch")
    )
    return Experiment(tasks=tasks, continual_testing_freq=10_000)
