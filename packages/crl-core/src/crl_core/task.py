"""`Task`, one environment with its preprocessing and its budget of steps, and `ImageTask`, for any Gymnasium images."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Literal

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from pydantic import BaseModel, ConfigDict, Field

from crl_core.images import make_image_env
from crl_core.workers import WorkerEnvs

__all__ = ["ImageTask", "SeededReset", "Task", "Vectorization"]

Vectorization = Literal["native", "in_process", "processes"]


class Task(BaseModel, ABC):
    """One environment, its preprocessing and its budget, as a record that survives a round trip through JSON.

    A subclass adds the fields its environment needs, narrows `type` to the name its plugin registers it under, and says
    how environments are made. Only what every algorithm would want belongs here; the rest is the policy's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str = Field(description="The kind of task, as a plugin registers it.")
    id: str = Field(min_length=1, description="A name for the task, unique within its experiment.")
    action_space_id: int | str = Field(0, description="Tasks with the same id share one action space.")
    num_timesteps: int = Field(ge=1, description="The task's budget of training steps, each time it is visited.")
    eval_mode: bool = Field(False, description="Whether the task is only evaluated, never trained.")
    continual_eval: bool = Field(True, description="Whether the task is evaluated throughout the run.")
    continual_eval_num_returns: int = Field(10, ge=1, description="Episodes in one evaluation.")
    eval_max_steps: int = Field(10_000, ge=1, description="Steps after which an evaluation ends an episode.")
    rolling_return_count: int = Field(100, ge=1, description="Last returns that train_reward is the mean of.")
    vectorization: Vectorization = Field("in_process", description="Where environments step.")

    @property
    @abstractmethod
    def observation_space(self) -> gymnasium.Space[Any]:
        """The space of one environment's observations, known without running an episode."""

    @property
    @abstractmethod
    def action_space(self) -> gymnasium.Space[Any]:
        """The space of one environment's actions, known without running an episode."""

    @abstractmethod
    def make_envs(self, num_envs: int, *, seeds: npt.NDArray[np.int32], evaluation: bool) -> VectorEnv[Any, Any, Any]:
        """Return `num_envs` environments behind one vector environment with NEXT_STEP autoreset.

        Its infos may carry `is_reset [num_envs]` (this row was an autoreset) and `episode_over [num_envs]` (the game
        really ended); a runner derives what is absent from `terminated | truncated`.

        Args:
            num_envs: how many environments.
            seeds: one per environment; the first `reset()`, called without a seed, uses them.
            evaluation: whether the environments are for evaluation: real games, without ends that only help learning,
                each episode truncated after `eval_max_steps`.
        """


class SeededReset(VectorWrapper[Any, Any, Any, Any, Any]):
    """Passes the seeds it was made with to the first reset that names none."""

    def __init__(self, envs: VectorEnv[Any, Any, Any], seeds: list[int] | npt.NDArray[np.int32]) -> None:
        """Wrap `envs`; `seeds` has one per environment, in the form that `envs.reset` takes."""
        super().__init__(envs)
        self._seeds: list[int] | npt.NDArray[np.int32] | None = seeds

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset all environments."""
        if seed is None:
            seed, self._seeds = self._seeds, None
        return self.env.reset(seed=seed, options=options)


class ImageTask(Task):
    """Any Gymnasium environment that shows images: resized, greyed, channels first, stacked.

    Observations are uint8 `[frame_stack * channels, height, width]`, the newest frame last.
    """

    type: Literal["image"] = "image"
    vectorization: Literal["in_process", "processes"] = "in_process"
    env: str = Field(description="A registered Gymnasium id, or the 'module:function' of a factory.")
    env_kwargs: Mapping[str, Any] = Field(default_factory=dict, description="What the environment is made with.")
    image_size: tuple[int, int] | None = Field(None, description="Height and width to resize to; None keeps the size.")
    grayscale: bool = Field(False, description="Whether three colours become one grey channel.")
    frame_stack: int = Field(1, ge=1, description="How many of the latest frames an observation holds.")
    max_episode_steps: int | None = Field(None, ge=1, description="Steps after which an episode is truncated.")

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """The space of preprocessed images."""
        return self._probe()[0]

    @property
    def action_space(self) -> gymnasium.Space[Any]:
        """The environment's own action space."""
        return self._probe()[1]

    def make_envs(self, num_envs: int, *, seeds: npt.NDArray[np.int32], evaluation: bool) -> VectorEnv[Any, Any, Any]:
        """Return the environments, in this process or in workers of their own."""
        make = functools.partial(self._make_env, self.eval_max_steps if evaluation else None)
        factories: list[Callable[[], gymnasium.Env[Any, Any]]] = [make] * num_envs
        envs: VectorEnv[Any, Any, Any]
        if self.vectorization == "processes":
            envs = WorkerEnvs(factories)
        else:
            envs = gymnasium.vector.SyncVectorEnv(factories, autoreset_mode=AutoresetMode.NEXT_STEP)
        return SeededReset(envs, [int(seed) for seed in seeds])

    def _make_env(self, step_limit: int | None) -> gymnasium.Env[Any, Any]:
        limits = [limit for limit in (self.max_episode_steps, step_limit) if limit is not None]
        return make_image_env(
            self.env,
            self.env_kwargs,
            image_size=self.image_size,
            grayscale=self.grayscale,
            frame_stack=self.frame_stack,
            max_episode_steps=min(limits, default=None),
        )

    def _probe(self) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
        env = self._make_env(None)
        try:
            return env.observation_space, env.action_space
        finally:
            env.close()
