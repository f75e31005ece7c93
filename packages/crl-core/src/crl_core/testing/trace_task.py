"""`TraceTask`: a tiny task whose observations and rewards tell where they come from, for checking runners."""

from __future__ import annotations

from typing import Any, Literal

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import TimeLimit
from pydantic import Field

from crl_core.task import SeededReset, Task

__all__ = ["ACTION", "EPISODE", "STEP", "STREAM", "TraceEnv", "TraceTask", "trace_reward"]

STREAM, EPISODE, STEP, ACTION = range(4)  # what the entries of an observation are
_NUM_ACTIONS = 4
_STREAMS = 2**20  # a float32 holds every one exactly


def trace_reward(step: Any, action: Any) -> Any:
    """Return the reward of an action at a step of an episode; from 1 up, so that none is a reset's."""
    return 1 + step + 0.125 * action


class TraceEnv(gymnasium.Env[npt.NDArray[np.float32], np.int64]):
    """Shows its own stream (a number its seed gives), its episode, its step and the action before.

    Episodes have two to five steps; the even ones terminate, the odd ones are truncated.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  # Gymnasium declares it so

    def __init__(self) -> None:
        """Make an environment."""
        self.observation_space = Box(-1.0, _STREAMS, (4,), np.float32)
        self.action_space = Discrete(_NUM_ACTIONS)
        self._stream = 0
        self._episode = -1
        self._step = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """Begin the next episode, or with a seed the first one of another stream."""
        super().reset(seed=seed)
        if seed is not None:
            self._stream, self._episode = int(self.np_random.integers(_STREAMS)), -1
        self._episode += 1
        self._step = 0
        return self._show(-1), {}

    def step(self, action: np.int64) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Go on by one step."""
        reward = float(trace_reward(self._step, int(action)))
        self._step += 1
        over = self._step >= 2 + (self._episode + self._stream) % 4
        even = self._episode % 2 == 0
        return self._show(int(action)), reward, over and even, over and not even, {}

    def _show(self, action: int) -> npt.NDArray[np.float32]:
        return np.array([self._stream, self._episode, self._step, action], np.float32)


class TraceTask(Task):
    """A task whose every row can be told from all others. See `TraceEnv`."""

    type: Literal["trace"] = "trace"
    id: str = "trace"
    num_timesteps: int = Field(10_000, ge=1)
    eval_max_steps: int = Field(10, ge=1)

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """The space of `TraceEnv`."""
        return TraceEnv().observation_space

    @property
    def action_space(self) -> gymnasium.Space[Any]:
        """The space of `TraceEnv`."""
        return TraceEnv().action_space

    def make_env(self, *, evaluation: bool) -> gymnasium.Env[Any, Any]:
        """Return one environment."""
        return TimeLimit(TraceEnv(), self.eval_max_steps) if evaluation else TraceEnv()

    def make_envs(self, num_envs: int, *, seeds: npt.NDArray[np.int32], evaluation: bool) -> VectorEnv[Any, Any, Any]:
        """Return environments that step in this process."""
        factories = [lambda: self.make_env(evaluation=evaluation)] * num_envs
        envs = SyncVectorEnv(factories, autoreset_mode=AutoresetMode.NEXT_STEP)
        return SeededReset(envs, [int(seed) for seed in seeds])
