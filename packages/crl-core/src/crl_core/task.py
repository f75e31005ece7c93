"""`Task`: one environment with its preprocessing and its budget of steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import VectorEnv, VectorWrapper
from pydantic import BaseModel, ConfigDict, Field

from crl_core.config import ThreadCount
from crl_core.cores import usable_cores
from crl_core.plugins import origin

__all__ = ["SeededReset", "Task", "Vectorization"]

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
    environment_threads: ThreadCount = Field(
        "auto",
        description="Threads that step environments with threads of their own in training; auto: as many as cores.",
    )
    step_timeout_seconds: float = Field(
        60.0, gt=0, description="How long the environments may take for one step or reset before they are given up."
    )

    @property
    @abstractmethod
    def observation_space(self) -> gymnasium.Space[Any]:
        """The space of one environment's observations, known without running an episode."""

    @property
    @abstractmethod
    def action_space(self) -> gymnasium.Space[Any]:
        """The space of one environment's actions, known without running an episode."""

    def native_threads(self, num_envs: int) -> int:
        """Return how many threads step `num_envs` native environments.

        `auto` is as many as there are cores: what waits for environments leaves its core to them. A runner that
        learns meanwhile asks for fewer.
        """
        return min(num_envs, usable_cores() if self.environment_threads == "auto" else self.environment_threads)

    def made_by(self) -> str:
        """Return whose environments these are, for messages: by default the task's class and its distribution."""
        return origin(type(self))

    @abstractmethod
    def make_envs(self, num_envs: int, *, seeds: npt.NDArray[np.int32], evaluation: bool) -> VectorEnv[Any, Any, Any]:
        """Return `num_envs` environments behind one vector environment with NEXT_STEP autoreset.

        Its infos may carry `is_reset [num_envs]` (this row was an autoreset) and `episode_over [num_envs]` (the game
        really ended); a runner derives what is absent from `terminated | truncated`.

        Where environments can be stepped apart from each other, the vector environment may have a method
        `keep(environments)`, which leaves out all but those indices for good: evaluation then steps no environment that
        has played its episodes.

        Args:
            num_envs: how many environments.
            seeds: one per environment; the first `reset()`, called without a seed, uses them.
            evaluation: whether the environments are for evaluation: real games, without ends that only help learning,
                each episode truncated after `eval_max_steps`.
        """

    def make_filmed_envs(self, *, seeds: npt.NDArray[np.int32]) -> VectorEnv[Any, Any, Any]:
        """Return one environment for evaluation, behind a vector environment, to be filmed.

        Where its `render()` returns one RGB picture for each environment, uint8 `[height, width, 3]`, those are filmed,
        `metadata["render_fps"]` of them a second; elsewhere observations that are images. It plays as one of
        `make_envs` does with the same seed.

        Args:
            seeds: one seed.
        """
        return self.make_envs(1, seeds=seeds, evaluation=True)


class SeededReset(VectorWrapper[Any, Any, Any, Any, Any]):
    """Passes the seeds it was made with to the first reset that names none."""

    def __init__(self, envs: VectorEnv[Any, Any, Any], seeds: int | list[int] | npt.NDArray[np.int32]) -> None:
        """Wrap `envs`; `seeds` are in the form that `envs.reset` takes."""
        super().__init__(envs)
        self._seeds: int | list[int] | npt.NDArray[np.int32] | None = seeds

    @property
    def keep(self) -> Callable[[Sequence[int]], None] | None:
        """What the wrapped environments have to leave some of them out (see `Task.make_envs`), or None."""
        return getattr(self.env, "keep", None)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset all environments."""
        if seed is None:
            seed, self._seeds = self._seeds, None
        return self.env.reset(seed=seed, options=options)
