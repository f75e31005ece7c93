"""`CueTask`: a tiny task with every kind of end, which a policy learns only if each reward meets its own step."""

from __future__ import annotations

import functools
from typing import Any, Literal

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import TimeLimit
from pydantic import Field

from crl_core.task import SeededReset, Task

__all__ = ["CueEnv", "CueTask"]

_SIZE = 6
_TARGET = 0.25  # of the way from the middle to a bound: continuous actions beyond it answer a cue


class CueEnv(gymnasium.Env[npt.NDArray[Any], Any]):
    """Shows a cue at every step, and gives reward 1 for the action that answers it; the next cue does not depend on it.

    With n discrete actions there are n cues, each answered by one action; with a continuous one there are two, answered
    by the ends of its range. As one step says nothing about another, a reward that is put down to the step before or
    after its own teaches nothing.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  # Gymnasium declares it so

    def __init__(
        self,
        *,
        observations: Literal["image", "vector"],
        num_actions: int,
        action_bounds: tuple[float, float],
        episode_lengths: tuple[int, int],
        truncation: float,
    ) -> None:
        """Make an environment; the arguments are the fields of `CueTask`."""
        image = Box(0, 255, (1, _SIZE, _SIZE), np.uint8)
        self.observation_space = image if observations == "image" else Box(0.0, 1.0, (_SIZE,), np.float32)
        self.action_space = Discrete(num_actions) if num_actions else Box(*action_bounds, (1,), np.float32)
        self._num_actions = num_actions
        low, high = action_bounds
        self._middle, self._beyond = (low + high) / 2, _TARGET * (high - low) / 2
        self._lengths = episode_lengths
        self._truncation = truncation
        self._cue = self._left = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[Any], dict[str, Any]]:
        """Begin an episode of a new length."""
        super().reset(seed=seed)
        self._left = int(self.np_random.integers(self._lengths[0], self._lengths[1] + 1))
        return self._next_cue(), {}

    def step(self, action: Any) -> tuple[npt.NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Judge the answer, and show the next cue."""
        reward = float(self._answers(action))
        self._left -= 1
        over = self._left == 0
        truncated = over and bool(self.np_random.random() < self._truncation)
        return self._next_cue(), reward, over and not truncated, truncated, {}

    def _answers(self, action: Any) -> bool:
        if self._num_actions:
            return int(action) == self._cue
        off_middle = action[0] - self._middle
        return bool(off_middle > self._beyond) if self._cue else bool(off_middle < -self._beyond)

    def _next_cue(self) -> npt.NDArray[Any]:
        self._cue = int(self.np_random.integers(self._num_actions or 2))
        observation = np.zeros(self.observation_space.shape or (), self.observation_space.dtype)
        observation[..., self._cue] = 255 if observation.dtype == np.uint8 else 1.0
        return observation


class CueTask(Task):
    """Cues to answer, as uint8 images `[1, 6, 6]` or float32 vectors `[6]`, in short episodes. See `CueEnv`."""

    type: Literal["cue"] = "cue"
    id: str = "cue"
    num_timesteps: int = Field(30_000, ge=1)
    eval_max_steps: int = Field(20, ge=1)
    observations: Literal["image", "vector"] = Field("image", description="What cues look like.")
    num_actions: int = Field(3, ge=0, le=_SIZE, description="Discrete actions; 0 for one continuous action.")
    action_bounds: tuple[float, float] = Field((-1.0, 1.0), description="Bounds of the continuous action.")
    episode_lengths: tuple[int, int] = Field((1, 4), description="The fewest and the most steps of an episode.")
    truncation: float = Field(0.5, ge=0, le=1, description="Chance that an episode is cut off rather than ended.")

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """The space of cues."""
        return self.make_env(evaluation=False).observation_space

    @property
    def action_space(self) -> gymnasium.Space[Any]:
        """The space of answers."""
        return self.make_env(evaluation=False).action_space

    @property
    def chance(self) -> float:
        """The share of cues that somebody who does not look at them can answer."""
        return 1 / (self.num_actions or 2)

    def make_env(self, *, evaluation: bool) -> gymnasium.Env[Any, Any]:
        """Return one environment."""
        env: gymnasium.Env[Any, Any] = CueEnv(
            observations=self.observations,
            num_actions=self.num_actions,
            action_bounds=self.action_bounds,
            episode_lengths=self.episode_lengths,
            truncation=self.truncation,
        )
        return TimeLimit(env, self.eval_max_steps) if evaluation else env

    def make_envs(self, num_envs: int, *, seeds: npt.NDArray[np.int32], evaluation: bool) -> VectorEnv[Any, Any, Any]:
        """Return environments that step in this process."""
        make = functools.partial(self.make_env, evaluation=evaluation)
        envs = SyncVectorEnv([make] * num_envs, autoreset_mode=AutoresetMode.NEXT_STEP)
        return SeededReset(envs, [int(seed) for seed in seeds])
