"""Gymnasium's own check of an environment. A game is one copy of ALE's vector environment, seen from outside as one."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

from crl_tasks_atari import AtariTask


class OneGame(gymnasium.Env[Any, Any]):
    """What an `AtariTask` makes when it makes one."""

    def __init__(self, task: AtariTask, *, evaluation: bool) -> None:
        self._envs = task.make_envs(1, seeds=np.zeros(1, np.int32), evaluation=evaluation)
        self.observation_space = task.observation_space
        self.action_space = task.action_space

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        observations, infos = self._envs.reset(seed=None if seed is None else np.array([seed], np.int32))
        return observations[0], infos

    def step(self, action: Any) -> Any:
        observations, rewards, terminated, truncated, infos = self._envs.step(np.array([action]))
        return observations[0], float(rewards[0]), bool(terminated[0]), bool(truncated[0]), infos

    def close(self) -> None:
        self._envs.close()


@pytest.mark.parametrize("evaluation", [False, True])
def test_gymnasium_finds_nothing_wrong_with_a_game(evaluation: bool) -> None:
    task = AtariTask(id="it", game="breakout", num_timesteps=1000)
    game = OneGame(task, evaluation=evaluation)
    # without a spec, determinism is not checked
    game.spec = EnvSpec("OneGame-v0", entry_point=lambda: OneGame(task, evaluation=evaluation))
    check_env(game, skip_render_check=True)
    game.close()
