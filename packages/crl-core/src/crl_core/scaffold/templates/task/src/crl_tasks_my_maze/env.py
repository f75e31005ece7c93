"""The environment: a player on a small grid, and two squares, one of them the goal."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete

SIZE = 5

Image = npt.NDArray[np.uint8]

_MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))  # up, down, left, right
_COLORS = {"green": (0, 255, 0), "red": (255, 0, 0), "player": (255, 255, 255)}
_FLOORS = {"green": (0, 0, 0), "red": (0, 0, 100)}


class MyMazeEnv(gymnasium.Env[Image, np.int64]):
    """A player on a grid, a green square and a red one: the goal is worth 1, the other -1, and either ends the episode.

    Observations are uint8 images `[SIZE, SIZE, 3]`, one pixel a cell. The color of the floor tells which square is the
    goal, so that one policy can know both games; a policy that has learned one and does not look at the floor loses the
    other. Actions: 0 up, 1 down, 2 left, 3 right. Walls stop the player. The game has no limit of steps of its own.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  # Gymnasium declares it so

    def __init__(self, *, goal: str = "green") -> None:
        """Make a game whose goal is the `green` or the `red` square."""
        if goal not in _FLOORS:
            raise ValueError(f"the goal is '{goal}', but must be one of {', '.join(_FLOORS)}")
        self.observation_space = Box(0, 255, (SIZE, SIZE, 3), np.uint8)
        self.action_space = Discrete(len(_MOVES))
        self._goal = goal
        self._cells: dict[str, tuple[int, int]] = {}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Image, dict[str, Any]]:
        """Put the player and the squares on three different cells."""
        super().reset(seed=seed)  # seeds self.np_random, where all that is random here comes from
        cells = self.np_random.choice(SIZE * SIZE, size=len(_COLORS), replace=False)
        self._cells = {name: divmod(int(cell), SIZE) for name, cell in zip(_COLORS, cells, strict=True)}
        return self._image(), {}

    def step(self, action: np.int64) -> tuple[Image, float, bool, bool, dict[str, Any]]:
        """Move the player by one cell.

        Returns:
            The image, the reward, whether the game is over (terminated), whether it was cut off (truncated), infos.
        """
        row, column = np.add(self._cells["player"], _MOVES[int(action)]).clip(0, SIZE - 1).tolist()
        self._cells["player"] = (row, column)
        reached = [name for name in _FLOORS if self._cells[name] == self._cells["player"]]
        reward = 0.0 if not reached else 1.0 if reached == [self._goal] else -1.0
        return self._image(), reward, bool(reached), False, {}

    def _image(self) -> Image:
        image = np.full((SIZE, SIZE, 3), _FLOORS[self._goal], np.uint8)
        for name, cell in self._cells.items():
            image[cell] = _COLORS[name]
        return image
