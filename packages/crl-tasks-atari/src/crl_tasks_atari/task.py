"""`AtariTask`: one game of the Atari 2600, preprocessed as usual."""

from __future__ import annotations

import logging
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from ale_py.vector_env import AtariVectorEnv
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from pydantic import Field, field_validator

from crl_core.errors import did_you_mean
from crl_core.task import SeededReset, Task
from crl_tasks_atari.envs import AtariEnvs, count_actions, failures
from crl_tasks_atari.games import EXCLUDED_GAMES, GAMES
from crl_tasks_atari.screen import WithScreen
from crl_tasks_atari.separate import SeparateGames

__all__ = ["AtariTask"]

_log = logging.getLogger(__name__)

_HEIGHT, _WIDTH = 210, 160  # the console's screen in pixels
_FRAMES_PER_SECOND = 60


class AtariTask(Task):
    """A game of the Atari 2600, preprocessed as usual (Machado et al., 2018).

    A game starts with FIRE, where the action set has it, and a random number of no-ops. A step repeats its action for
    `frame_skip` frames and shows the maximum of the last two, in grey. In training a lost life is `terminated`, while
    the game plays on and the reported return is the whole game's. Rewards are raw: policies clip.
    """

    type: Literal["atari"] = "atari"
    vectorization: Literal["native"] = "native"
    game: str = Field(description="The game's ROM id, such as 'ms_pacman'.")
    full_action_space: bool = Field(False, description="Whether all the console's actions are offered.")
    max_episode_steps: int = Field(10_000, ge=1, le=100_000_000, description="Steps after which a game is truncated.")
    frame_skip: int = Field(4, ge=1, le=20, description="Frames per step.")
    frame_stack: int = Field(4, ge=1, description="How many of the latest frames an observation holds.")
    image_size: int = Field(84, ge=1, description="Height and width of an observation.")
    noop_max: int = Field(30, ge=0, description="The most no-op frames a game starts with.")
    repeat_action_probability: float = Field(
        0.0, ge=0, le=1, description="Chance that a frame repeats the last action."
    )

    @field_validator("game")
    @classmethod
    def _playable(cls, game: str) -> str:
        if game in EXCLUDED_GAMES:
            raise ValueError(f"'{game}' is for several players only, and ALE aborts when one player loads it")
        if game not in GAMES:
            hint = did_you_mean(game.lower(), GAMES)
            raise ValueError(f"there is no Atari game '{game}'.{hint} Games go by their ROM id, such as 'ms_pacman'")
        return game

    @property
    def observation_space(self) -> Box:
        """The latest frames, uint8 `[frame_stack, image_size, image_size]`, the newest last."""
        return Box(0, 255, (self.frame_stack, self.image_size, self.image_size), np.uint8)

    @property
    def action_space(self) -> Discrete:
        """The actions the game uses, or all the console's."""
        return Discrete(count_actions(self.game, full_action_space=self.full_action_space))

    def make_envs(self, num_envs: int, *, seeds: npt.NDArray[np.int32], evaluation: bool) -> VectorEnv[Any, Any, Any]:
        """Return `num_envs` copies of the game; evaluation plays whole games, of `eval_max_steps` at most.

        A game is truncated after exactly that many steps, not counting the frames it starts with. Loading takes about
        0.1 s for each copy, and so does seeding.

        Raises:
            EnvironmentFailure: ALE cannot load the game.
        """
        limit = min(self.max_episode_steps, self.eval_max_steps) if evaluation else self.max_episode_steps
        if not evaluation:
            _log.info("loading %d copies of %s", num_envs, self.game)  # which takes up to half a second each
        with failures(self.game, "being loaded"):
            envs = (
                SeparateGames([self._load(1, max_steps=limit) for _ in range(num_envs)])
                if evaluation
                else self._load(num_envs, max_steps=limit)
            )
        return SeededReset(AtariEnvs(envs, self.game, life_loss_ends=not evaluation), seeds)

    def make_filmed_envs(self, *, seeds: npt.NDArray[np.int32]) -> VectorEnv[Any, Any, Any]:
        """Return one copy for evaluation, whose `render()` returns the console's screen.

        Raises:
            EnvironmentFailure: ALE cannot load the game.
        """
        limit = min(self.max_episode_steps, self.eval_max_steps)
        with failures(self.game, "being loaded"):
            envs = AtariEnvs(self._load(1, max_steps=limit), self.game, life_loss_ends=False)
            screen = self._load(1, max_steps=limit, grayscale=False, img_height=_HEIGHT, img_width=_WIDTH, stack_num=1)
        fps = _FRAMES_PER_SECOND / self.frame_skip
        return SeededReset(WithScreen(envs, screen, self.game, frames_per_second=fps), seeds)

    def _load(self, num_envs: int, *, max_steps: int, **shown: Any) -> AtariVectorEnv:
        """Return the emulators; `shown` replaces what is said of the observations."""
        shown = {"img_height": self.image_size, "img_width": self.image_size, "stack_num": self.frame_stack, **shown}
        return AtariVectorEnv(
            self.game,
            num_envs,
            num_threads=self.native_threads(num_envs),
            max_num_frames_per_episode=max_steps * self.frame_skip,
            repeat_action_probability=self.repeat_action_probability,
            full_action_space=self.full_action_space,
            autoreset_mode=AutoresetMode.NEXT_STEP,
            frameskip=self.frame_skip,
            noop_max=self.noop_max + 1,  # ALE draws from 0 to one less
            episodic_life=False,  # True would reset the whole game at each lost life
            life_loss_info=False,  # AtariEnvs tells lives and games apart
            reward_clipping=False,
            **shown,
        )
