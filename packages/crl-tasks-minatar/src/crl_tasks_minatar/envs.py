"""`MinAtarEnvs`: copies of one game, stepped in this process.

Letters in shapes: N environments, C the game's own channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from crl_core.errors import EnvironmentFailure
from crl_tasks_minatar.games import Game, load_game

__all__ = ["MinAtarEnvs", "observation_space"]

_CHANNELS = 10  # of the game that has most
_SIZE = 10
_PRESENT = np.uint8(255)  # so that networks that bring bytes into [0, 1] see 0 and 1
_PIXELS_PER_CELL = 16
_FRAMES_PER_SECOND = 15  # some 4 frames of Atari are one step


def observation_space() -> Box:
    """Return the space all games share: what each channel shows is at 255; channels a game lacks stay 0."""
    return Box(0, 255, (_CHANNELS, _SIZE, _SIZE), np.uint8)


class MinAtarEnvs(VectorEnv[Any, Any, Any]):
    """N copies of one game, each with its own stream of random numbers, as `minatar.Environment` steps them.

    `step` returns the same array of observations every time, overwritten.
    """

    def __init__(
        self, game: Game, num_envs: int, *, sticky_action_prob: float, difficulty_ramping: bool, max_episode_steps: int
    ) -> None:
        """Make the copies.

        Args:
            game: its name.
            num_envs: N.
            sticky_action_prob: chance that a step repeats the last action.
            difficulty_ramping: whether a game gets harder as it goes on, where it can.
            max_episode_steps: steps after which an episode is truncated.
        """
        self.metadata = {
            "autoreset_mode": AutoresetMode.NEXT_STEP,
            "render_modes": ["rgb_array"],
            "render_fps": _FRAMES_PER_SECOND,
        }
        self.render_mode = "rgb_array"
        self._name = game
        self._games = [load_game(game)(ramping=difficulty_ramping) for _ in range(num_envs)]
        self._actions = list(self._games[0].minimal_action_set())
        self._sticky_action_prob = sticky_action_prob
        self._limit = max_episode_steps
        self._states = np.zeros((num_envs, *self._games[0].state_shape()), np.bool_)  # [N, 10, 10, C]
        self._last_actions = [0] * num_envs
        self._steps = np.zeros(num_envs, np.int64)  # of the episodes going on
        self._was_done = np.zeros(num_envs, np.bool_)
        self.single_observation_space = observation_space()
        self.single_action_space = Discrete(len(self._actions))
        self._count()

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start a new game in every copy.

        Args:
            seed: integers `[N]`, one seed per copy; None goes on with the streams there are.
            options: there are none.
        """
        if options:
            raise ValueError(f"MinAtar's games take no reset options, but got {sorted(options)}")
        if seed is not None:
            for game, each in zip(self._games, seed, strict=True):
                game.random = np.random.RandomState(int(each))
        self._last_actions = [0] * self.num_envs
        self._was_done[:] = False
        for index in range(self.num_envs):
            self._begin(index)
        return self._observe(), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Play one step in every copy; where an episode was over, start the next one instead.

        Args:
            actions: integers `[N]`.

        Returns:
            Observations uint8 `[N, 10, 10, 10]`, rewards float32 `[N]`, terminated bool `[N]`, truncated bool `[N]`,
            infos with nothing in them.

        Raises:
            EnvironmentFailure: there is no such action.
        """
        rewards = np.zeros(self.num_envs, np.float32)
        terminated = np.zeros(self.num_envs, np.bool_)
        for index, action in enumerate(self._checked(actions)):
            if self._was_done[index]:
                self._begin(index)
            else:
                rewards[index], terminated[index] = self._act(index, action)
        self._steps += ~self._was_done
        truncated = (self._steps >= self._limit) & ~terminated
        self._was_done = terminated | truncated
        return self._observe(), rewards, terminated, truncated, {}

    def keep(self, environments: Sequence[int]) -> None:
        """Leave out all copies but those of `environments`, the indices there are now."""
        self._games = [self._games[index] for index in environments]
        self._last_actions = [self._last_actions[index] for index in environments]
        self._states, self._steps = self._states[environments], self._steps[environments]
        self._was_done = self._was_done[environments]
        self._count()

    def render(self) -> tuple[Any, ...]:
        """Return a picture of each copy, uint8 `[160, 160, 3]`, in MinAtar's colours: the topmost channel of a cell."""
        import seaborn as sns  # takes seconds

        channels = self._states.shape[-1]
        colours = np.array([(0, 0, 0), *sns.color_palette("cubehelix", channels)])
        topmost = (self._states * np.arange(1, channels + 1)).max(axis=-1)  # [N, 10, 10], 0 where nothing is
        pictures = np.rint(255 * colours[topmost]).astype(np.uint8)
        return tuple(pictures.repeat(_PIXELS_PER_CELL, axis=1).repeat(_PIXELS_PER_CELL, axis=2))

    def _act(self, index: int, action: int) -> tuple[float, bool]:
        """Play one step of one copy, as `minatar.Environment.act` does."""
        game = self._games[index]
        if game.random.rand() < self._sticky_action_prob:
            action = self._last_actions[index]
        self._last_actions[index] = action
        reward, over = game.act(action)
        self._states[index] = game.state()
        return reward, over

    def _begin(self, index: int) -> None:
        self._games[index].reset()
        self._states[index] = self._games[index].state()
        self._steps[index] = 0

    def _observe(self) -> npt.NDArray[np.uint8]:
        shown = self._states.view(np.uint8).transpose(0, 3, 1, 2)
        np.multiply(shown, _PRESENT, out=self._observations[:, : shown.shape[1]])
        return self._observations

    def _checked(self, actions: Any) -> list[int]:
        """Return the game's own numbers of actions."""
        checked: list[int] = np.asarray(actions, np.int64).tolist()
        last = len(self._actions) - 1
        if min(checked) < 0 or max(checked) > last:
            raise EnvironmentFailure(f"MinAtar's game '{self._name}' has actions 0 to {last}, but got {checked}")
        return [self._actions[action] for action in checked]

    def _count(self) -> None:
        self.num_envs = len(self._games)
        self._observations = np.zeros((self.num_envs, _CHANNELS, _SIZE, _SIZE), np.uint8)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
