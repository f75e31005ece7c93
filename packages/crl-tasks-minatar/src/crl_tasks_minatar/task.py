"""`MinAtarTask`: one game of MinAtar."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import VectorEnv
from pydantic import Field

from crl_core.task import SeededReset, Task
from crl_tasks_minatar.envs import MinAtarEnvs, observation_space
from crl_tasks_minatar.games import Game, load_game

__all__ = ["MinAtarTask"]


class MinAtarTask(Task):
    """A game of MinAtar (Young and Tian, 2019, arXiv 1903.03176), with the actions that it uses.

    All games show the same space, padded to ten channels. Rewards are the game's own.
    """

    type: Literal["minatar"] = "minatar"
    vectorization: Literal["in_process"] = "in_process"
    game: Game = Field(description="The game.")
    sticky_action_prob: float = Field(0.1, ge=0, le=1, description="Chance that a step repeats the last action.")
    difficulty_ramping: bool = Field(True, description="Whether a game gets harder as it goes on, where it can.")
    max_episode_steps: int = Field(2500, ge=1, description="Steps after which an episode is truncated.")

    @property
    def observation_space(self) -> Box:
        """What each channel shows, uint8 `[10, 10, 10]`, channels first, 0 or 255."""
        return observation_space()

    @property
    def action_space(self) -> Discrete[Any]:
        """The actions that the game uses, 3 to 6."""
        return Discrete(len(load_game(self.game)(ramping=False).minimal_action_set()))

    def make_envs(self, num_envs: int, *, seeds: npt.NDArray[np.int32], evaluation: bool) -> VectorEnv[Any, Any, Any]:
        """Return `num_envs` copies of the game; an evaluation's are truncated after `eval_max_steps` at most."""
        limit = min(self.max_episode_steps, self.eval_max_steps) if evaluation else self.max_episode_steps
        envs = MinAtarEnvs(
            self.game,
            num_envs,
            sticky_action_prob=self.sticky_action_prob,
            difficulty_ramping=self.difficulty_ramping,
            max_episode_steps=limit,
        )
        return SeededReset(envs, seeds)
