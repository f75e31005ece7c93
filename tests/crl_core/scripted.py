"""Environments that do what a script says, and a policy whose numbers tell where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor, nn

from crl_core.config import PolicyConfig
from crl_core.policy import Policy, TimestepData, TrainingProgress, Workspace
from crl_core.rollout import Rollout
from crl_core.task import Task


@dataclass(frozen=True)
class Row:
    """What a step gives: its reward, and how it ends."""

    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    is_reset: bool | None = None
    episode_over: bool | None = None


class ScriptedEnvs(VectorEnv[Any, Any, Any]):
    """Plays a script of rows per environment over and over; observation k of environment n is 100 n + k."""

    def __init__(self, scripts: Sequence[Sequence[Row]]) -> None:
        self.scripts = scripts
        self.num_envs = len(scripts)
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
        self.single_observation_space = Box(0, 255, (1,), np.float32)
        self.single_action_space = Discrete(4)
        self.received: list[list[int]] = []
        self.closed = False
        self._observations = np.zeros((self.num_envs, 1), np.float32)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        self._clock = 0
        return self._show(), {}

    def step(self, actions: Any) -> Any:
        rows = [script[self._clock % len(script)] for script in self.scripts]
        self.received.append([int(action) for action in actions])
        self._clock += 1
        infos = {
            name: np.array([getattr(row, name) for row in rows])
            for name in ("is_reset", "episode_over")
            if getattr(rows[0], name) is not None
        }
        rewards = np.array([row.reward for row in rows], np.float64)
        ends = [np.array([getattr(row, name) for row in rows]) for name in ("terminated", "truncated")]
        return self._show(), rewards, *ends, infos

    def close_extras(self, **kwargs: Any) -> None:
        self.closed = True

    def _show(self) -> Any:
        self._observations[:, 0] = [100 * n + self._clock for n in range(self.num_envs)]
        return self._observations  # the same array each time, as environments may


class ScriptedTask(Task):
    """A task over scripted environments."""

    type: Literal["scripted"] = "scripted"
    scripts: tuple[tuple[Row, ...], ...]

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        return Box(0, 255, (1,), np.float32)

    @property
    def action_space(self) -> gymnasium.Space[Any]:
        return Discrete(4)

    def make_envs(self, num_envs: int, *, seeds: Any, evaluation: bool) -> Any:
        assert len(seeds) == num_envs == len(self.scripts)
        return ScriptedEnvs(self.scripts)


@dataclass(kw_only=True)
class TellingData(TimestepData):
    """The observation each action was computed from."""

    seen: Tensor


class TellingPolicy(Policy[PolicyConfig]):
    """Its action is the observation modulo 4; it keeps what it was handed."""

    def __init__(self, num_envs: int = 1, num_steps: int | None = 4) -> None:
        super().__init__(
            PolicyConfig(),
            Box(0, 255, (1,), np.float32),
            {0: Discrete(4)},
            task_ids=["scripted"],
            device=torch.device("cpu"),
            seed=0,
            workspace=Workspace(None, "test"),  # type: ignore[arg-type]  # it keeps no files
        )
        self.options = {"num_envs": num_envs, "num_steps": num_steps}
        self.handed_back: list[TimestepData | None] = []
        self.modes: list[bool] = []

    def build(self) -> None:
        self.network = nn.Linear(1, 1)

    def runner_options(self, task: Task, *, eval_mode: bool) -> dict[str, Any]:
        return self.options

    def compute_action(
        self, observations: Tensor, task: Task, last_timestep_data: TimestepData | None, *, eval_mode: bool
    ) -> TellingData:
        self.handed_back.append(last_timestep_data)
        self.modes.append(eval_mode)
        seen = observations[:, 0].clone()
        return TellingData(actions=(seen % 4).to(torch.int64), seen=seen)

    def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
        return {}
