"""`AtariTask` as a record: its fields, its spaces and its messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ale_py import ALEInterface, LoggerMode
from ale_py.roms import get_rom_path
from gymnasium.spaces import Box, Discrete
from pydantic import ValidationError

import crl_tasks_atari
from crl_core.errors import EnvironmentFailure
from crl_tasks_atari import AtariTask
from crl_tasks_atari.envs import count_actions

SEEDS = np.array([3, 4], dtype=np.int32)


def make(**settings: Any) -> AtariTask:
    return AtariTask(**{"id": "it", "game": "breakout", "num_timesteps": 1000, **settings})


def test_defaults_are_the_usual_preprocessing() -> None:
    task = make()
    assert (task.type, task.vectorization, task.full_action_space) == ("atari", "native", False)
    assert (task.frame_skip, task.frame_stack, task.image_size, task.noop_max) == (4, 4, 84, 30)
    assert (task.max_episode_steps, task.eval_max_steps, task.repeat_action_probability) == (10_000, 10_000, 0)


def test_every_field_survives_json() -> None:
    changed = {
        "action_space_id": "breakout",
        "eval_mode": True,
        "continual_eval": False,
        "continual_eval_num_returns": 3,
        "eval_max_steps": 7,
        "rolling_return_count": 5,
        "step_timeout_seconds": 2.5,
        "environment_threads": 2,
        "full_action_space": True,
        "max_episode_steps": 50,
        "frame_skip": 2,
        "frame_stack": 3,
        "image_size": 42,
        "noop_max": 1,
        "repeat_action_probability": 0.25,
    }
    task = make(**changed)
    assert set(AtariTask.model_fields) == {"type", "vectorization", "id", "game", "num_timesteps", *changed}
    assert AtariTask.model_validate_json(task.model_dump_json()) == task


def test_spaces_are_those_of_the_environments() -> None:
    task = make(full_action_space=True, frame_skip=2, frame_stack=3, image_size=42)
    assert task.observation_space == Box(0, 255, (3, 42, 42), np.uint8)
    assert task.action_space == Discrete(18)
    envs = task.make_envs(1, seeds=SEEDS[:1], evaluation=False)
    try:
        assert envs.single_observation_space == task.observation_space
        assert envs.single_action_space == task.action_space
        observations, _ = envs.reset()
        assert observations.shape == (1, 3, 42, 42)
        before = envs.step(np.zeros(1, dtype=np.int64))[4]["frame_number"]
        assert envs.step(np.zeros(1, dtype=np.int64))[4]["frame_number"] - before == 2
    finally:
        envs.close()


@pytest.mark.parametrize("game", ["ms_pacman", "skiing", "jamesbond", "tetris"])
def test_the_minimal_action_set_is_what_ale_says(game: str) -> None:
    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator = ALEInterface()
    emulator.loadROM(str(get_rom_path(game)))
    assert make(game=game).action_space == Discrete(len(emulator.getMinimalActionSet()))


@pytest.mark.parametrize(
    ("game", "message"),
    [
        ("MsPacman", "there is no Atari game 'MsPacman'. Did you mean 'ms_pacman'?"),
        ("james_bond", "Did you mean 'jamesbond'?"),
        ("zork", "there is no Atari game 'zork'. Games go by their ROM id"),
        ("combat", "'combat' is for several players only"),
        ("warlords", "'warlords' is for several players only"),
    ],
)
def test_a_game_that_cannot_be_played_is_refused(game: str, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        make(game=game)
    assert message in str(raised.value)


@pytest.mark.parametrize("settings", [{"vectorization": "processes"}, {"max_episode_steps": 0}, {"frames": 4}])
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(**settings)


def test_a_missing_rom_names_the_game(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALE_ROMS_DIR", "/nowhere/at/all")
    with pytest.raises(EnvironmentFailure, match="Atari game 'breakout' failed while it was being loaded"):
        make().make_envs(2, seeds=SEEDS, evaluation=False)
    with pytest.raises(EnvironmentFailure, match="Atari game 'venture' failed while it was being loaded"):
        count_actions("venture", full_action_space=False)


def test_as_many_threads_as_cores_step_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(16)), raising=False)
    assert [make().native_threads(n) for n in (1, 4, 64)] == [1, 4, 16]
    assert [make(environment_threads=3).native_threads(n) for n in (1, 4, 64)] == [1, 3, 3]
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0}, raising=False)
    assert make().native_threads(64) == 1


def test_public_names_load_when_used() -> None:
    assert crl_tasks_atari.__all__ == ["AtariTask"]
    with pytest.raises(AttributeError, match="no attribute 'AtariTaks'"):
        _ = crl_tasks_atari.AtariTaks
