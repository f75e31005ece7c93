"""Vector environments that an id brings along: the same as many of its single ones, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit
from tests.crl_core.test_image_task import Film

from crl_core.errors import ExperimentError
from crl_core.gymnasium_tasks import ImageTask, VectorTask

SEEDS = np.array([3, 5], np.int32)


class FloatFilm(Film):
    """Its observations and actions are in float64, and its actions move nothing."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.observation_space = Box(0.0, 255.0, (4, 6), np.float64)
        self.action_space = Box(-0.1, 0.1, (1,), np.float64)

    def step(self, action: Any) -> Any:
        assert action in self.action_space
        return super().step(action[0])

    def _frame(self) -> Any:
        return super()._frame().astype(np.float64)


def films(kind: type[Film], autoreset: AutoresetMode = AutoresetMode.NEXT_STEP) -> Any:
    """Return a `vector_entry_point`."""

    def make(num_envs: int, max_episode_steps: int | None = None, **kwargs: Any) -> Any:
        def one() -> Any:
            env = kind(**kwargs)
            return env if max_episode_steps is None else TimeLimit(env, max_episode_steps)

        return SyncVectorEnv([one] * num_envs, autoreset_mode=autoreset)

    return make


def without_limit(num_envs: int) -> Any:
    return films(Film)(num_envs)


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    entry_points = {
        "Films-v0": (Film, films(Film)),
        "FloatFilms-v0": (FloatFilm, films(FloatFilm)),
        "SameStep-v0": (Film, films(Film, AutoresetMode.SAME_STEP)),
        "OtherSpaces-v0": (Film, films(FloatFilm)),
        "NoLimit-v0": (Film, without_limit),
    }
    for name, (single, vector) in entry_points.items():
        gymnasium.register(name, single, vector_entry_point=vector)
    yield
    for name in entry_points:
        del gymnasium.registry[name]


def play(task: Any, actions: Any) -> list[Any]:
    """Return all that 20 steps of two environments show."""
    envs = task.make_envs(2, seeds=SEEDS, evaluation=True)
    try:
        assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
        assert envs.single_observation_space == task.observation_space
        assert envs.single_action_space == task.action_space
        rows = [envs.reset()[:1]] + [envs.step(actions)[:4] for _ in range(20)]
    finally:
        envs.close()
    assert all(row[0].dtype == task.observation_space.dtype for row in rows)
    return rows


def assert_same(rows: list[Any], others: list[Any]) -> None:
    for row, other in zip(rows, others, strict=True):
        for values, expected in zip(row, other, strict=True):
            np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("shape", [[4, 6], [4, 6, 3]])
@pytest.mark.parametrize("frame_stack", [1, 3])
@pytest.mark.parametrize("eval_max_steps", [4, 100])
def test_images_are_those_of_single_environments(shape: list[int], frame_stack: int, eval_max_steps: int) -> None:
    task = ImageTask(
        id="films",
        env="Films-v0",
        env_kwargs={"shape": shape},
        num_timesteps=1,
        grayscale=True,
        image_size=(2, 3),
        frame_stack=frame_stack,
        eval_max_steps=eval_max_steps,
    )
    native = task.model_copy(update={"vectorization": "native"})
    actions = np.array([0, 1])
    assert_same(play(native, actions), play(task, actions))


def test_float64_becomes_float32_and_back() -> None:
    task = VectorTask(id="films", env="FloatFilms-v0", num_timesteps=1)
    native = task.model_copy(update={"vectorization": "native"})
    high = task.action_space
    assert isinstance(high, Box)
    actions = np.stack([high.low, high.high])  # 0.1 is a little more in float32 than in float64
    assert actions.dtype == np.float32
    assert_same(play(native, actions), play(task, actions))


@pytest.mark.parametrize(("evaluation", "length"), [(True, 70), (False, 500)])
def test_cart_pole_ends_when_it_should(evaluation: bool, length: int) -> None:
    lengths = []
    for vectorization in ("native", "in_process"):
        task = VectorTask(id="cart", env="CartPole-v1", num_timesteps=1, vectorization=vectorization, eval_max_steps=70)
        envs = task.make_envs(2, seeds=SEEDS, evaluation=evaluation)
        observations = envs.reset()[0]
        for step in range(1, length + 1):
            # keeps the pole up for as long as it takes
            actions = (observations @ np.array([0.1, 0.5, 1.0, 1.0], np.float32) > 0).astype(np.int64)
            observations, rewards, terminated, truncated, _ = envs.step(actions)
            assert not terminated.any()
            assert rewards.tolist() == [1, 1]
            if truncated.any():
                lengths.append(step)
        assert truncated.tolist() == [True, True]
        observations, rewards, terminated, truncated, _ = envs.step(actions)
        assert (np.abs(observations) <= 0.05).all()  # it begins anew in the row after
        assert rewards.tolist() == [0, 0]
        assert not (terminated | truncated).any()
        envs.close()
    assert lengths == [length, length]


@pytest.mark.parametrize("vectorization", ["native", "in_process"])
def test_cart_pole_shows_the_last_observation_of_an_episode(vectorization: Literal["native", "in_process"]) -> None:
    task = VectorTask(id="cart", env="CartPole-v1", num_timesteps=1, vectorization=vectorization)
    envs = task.make_envs(1, seeds=SEEDS[:1], evaluation=False)
    envs.reset()
    terminated = np.array([False])
    while not terminated.any():
        observations, rewards, terminated, _, _ = envs.step(np.array([1]))
    assert abs(observations[0, 2]) > 12 * np.pi / 180  # the pole has fallen
    assert rewards.tolist() == [1]
    assert np.abs(envs.step(np.array([1]))[0]).max() <= 0.05
    envs.close()


def test_seeds_make_one_seed() -> None:
    task = VectorTask(id="cart", env="CartPole-v1", num_timesteps=1, vectorization="native")

    def start(*seeds: int) -> Any:
        envs = task.make_envs(2, seeds=np.array(seeds, np.int32), evaluation=False)
        return envs.reset()[0]

    assert (start(3, 5) == start(3, 5)).all()
    assert not np.isin(start(3, 5), start(3, 6)).any()
    assert not np.isin(start(0, 1), start(1, 2)).any()


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (
            "MountainCar-v0",
            "environment 'MountainCar-v0' brings no vector environment along; use vectorization in_proc",
        ),
        (
            "SameStep-v0",
            "the vector environment of 'SameStep-v0' resets by AutoresetMode.SAME_STEP, not by .*NEXT_STEP",
        ),
        ("OtherSpaces-v0", "has the spaces .*float64.*, while a single environment has .*uint8"),
        ("NoLimit-v0", r"cannot be made with \{'max_episode_steps': 10000\}: TypeError: .*max_episode_steps"),
    ],
)
def test_vector_environments_of_another_kind_are_refused(env: str, message: str) -> None:
    task = ImageTask(id="films", env=env, num_timesteps=1, vectorization="native")
    with pytest.raises(ExperimentError, match=f"task 'films': .*{message}"):
        task.make_envs(2, seeds=SEEDS, evaluation=True)


@pytest.mark.parametrize(
    "fields",
    [
        {"env": "CartPole-v1", "wrappers": ["gymnasium.wrappers:FlattenObservation"]},
        {"env": "gymnasium.envs.classic_control.cartpole:CartPoleEnv"},
    ],
)
def test_native_is_for_an_id_without_wrappers(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="vectorization native is for a registered id without wrappers"):
        VectorTask(id="cart", num_timesteps=1, vectorization="native", **fields)
