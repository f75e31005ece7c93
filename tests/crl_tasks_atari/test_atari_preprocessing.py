"""Our environments against Gymnasium's preprocessing and against the bare emulator, on the same actions."""

from __future__ import annotations

from typing import Any

import ale_py
import gymnasium
import numpy as np
import pytest
from ale_py import Action, ALEInterface, LoggerMode
from ale_py.roms import get_rom_path
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

from crl_tasks_atari import AtariTask

gymnasium.register_envs(ale_py)


class Start(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Presses FIRE once where the game has it, then does nothing for as many frames as ours did."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.emulator = env.unwrapped.ale  # type: ignore[attr-defined]  # AtariEnv's
        self.has_fire = "FIRE" in env.unwrapped.get_action_meanings()  # type: ignore[attr-defined]  # AtariEnv's
        self.start_frames = 0

    def reset(self, **kwargs: Any) -> Any:
        result = self.env.reset(**kwargs)
        if self.has_fire:
            self.env.step(1)
        while self.emulator.getEpisodeFrameNumber() < self.start_frames:
            self.env.step(0)
        return result


class Reference:
    """One game, as Gymnasium preprocesses it."""

    def __init__(self, game: str) -> None:
        name = game.title().replace("_", "")
        raw = gymnasium.make(
            f"ALE/{name}-v5", frameskip=1, repeat_action_probability=0.0, max_num_frames_per_episode=108_000
        )
        self.start = Start(raw.unwrapped)
        frames = AtariPreprocessing(self.start, noop_max=0, frame_skip=4, screen_size=84)
        self.env = FrameStackObservation(frames, 4, padding_type="zero")
        self.lives = 0

    def reset(self, start_frames: int) -> Any:
        self.start.start_frames = start_frames
        observation, _ = self.env.reset()
        self.lives = self.start.emulator.lives()
        return observation

    def step(self, action: int) -> tuple[Any, float, bool, bool]:
        observation, reward, game_over, truncated, _ = self.env.step(action)
        assert not truncated
        before, self.lives = self.lives, self.start.emulator.lives()
        return observation, float(reward), game_over, 0 < self.lives < before


@pytest.mark.parametrize(
    ("game", "steps"), [("breakout", 500), ("ms_pacman", 600), ("freeway", 130), ("pong", 130), ("seaquest", 500)]
)
def test_frames_rewards_and_ends_equal_gymnasiums(game: str, steps: int) -> None:
    limit = 60 if game in {"freeway", "pong"} else 10_000
    task = AtariTask(id=game, game=game, num_timesteps=1, max_episode_steps=limit)
    envs = task.make_envs(1, seeds=np.array([11], dtype=np.int32), evaluation=False)
    reference = Reference(game)
    rng = np.random.default_rng(5)
    observations, infos = envs.reset()
    assert np.array_equal(observations[0], reference.reset(infos["episode_frame_number"][0]))
    played, resets, lives_lost = 0, 0, 0
    over = False
    for _ in range(steps):
        action = int(rng.integers(envs.single_action_space.n))  # type: ignore[attr-defined]  # Discrete
        observations, rewards, terminated, truncated, infos = envs.step(np.array([action]))
        assert infos["is_reset"][0] == over
        if over:
            expected = reference.reset(infos["episode_frame_number"][0]), 0.0, False, False
            played, resets = 0, resets + 1
        else:
            expected = reference.step(action)
            played += 1
        frames, reward, game_over, life_lost = expected
        # At the limit ALE leaves out the screen's last reading, which Gymnasium, unaware of the limit, does not.
        compared = 3 if played == limit else 4
        assert np.array_equal(observations[0, :compared], frames[:compared])
        assert rewards[0] == reward
        assert terminated[0] == (game_over or life_lost)
        assert truncated[0] == (played == limit and not terminated[0])
        over = game_over or played == limit
        assert infos["episode_over"][0] == over
        lives_lost += life_lost
    envs.close()
    assert resets >= 1
    assert lives_lost >= 1 or game in {"freeway", "pong"}


@pytest.mark.parametrize(("game", "full"), [("breakout", False), ("space_invaders", True)])
def test_returns_are_the_games_own_score(game: str, full: bool) -> None:
    task = AtariTask(id=game, game=game, num_timesteps=1, full_action_space=full)
    envs = task.make_envs(1, seeds=np.array([2], dtype=np.int32), evaluation=False)
    rng = np.random.default_rng(1)
    _, infos = envs.reset()
    start_frames = int(infos["episode_frame_number"][0])
    actions: list[int] = []
    episode_return, lives_lost = 0.0, 0
    while not actions or not infos["episode_over"][0]:
        actions.append(int(rng.integers(envs.single_action_space.n)))  # type: ignore[attr-defined]  # Discrete
        _, rewards, terminated, _, infos = envs.step(np.array(actions[-1:]))
        episode_return += rewards[0]
        lives_lost += bool(terminated[0]) and not infos["episode_over"][0]
    envs.close()
    assert lives_lost >= 2
    assert episode_return == replay(game, actions, start_frames, full=full) > 0


def replay(game: str, actions: list[int], start_frames: int, *, full: bool) -> int:
    """Return the score of the same game in the bare emulator, which must end exactly with the last action."""
    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator = ALEInterface()
    emulator.setFloat("repeat_action_probability", 0.0)
    emulator.loadROM(str(get_rom_path(game)))
    emulator.reset_game()
    meanings = emulator.getLegalActionSet() if full else emulator.getMinimalActionSet()
    for action in [Action.FIRE] + [Action.NOOP] * (start_frames - 1):
        emulator.act(action)
    score = 0
    for action_index in actions:
        assert not emulator.game_over()
        for _ in range(4):
            score += emulator.act(meanings[action_index])
            if emulator.game_over():
                break
    assert emulator.game_over()
    return score
