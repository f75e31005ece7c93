"""Vector tasks: the one form observations and actions are brought into, and what has no such form."""

from __future__ import annotations

import multiprocessing
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Sequence, Tuple
from gymnasium.utils.env_checker import check_env
from pydantic import ValidationError

from crl_core.errors import ExperimentError
from crl_core.gymnasium_tasks import GymnasiumTask, ImageTask, VectorTask

HERE = "tests.crl_core.test_vector_task"
SEEDS = np.array([3, 5], np.int32)

# Gymnasium's advice to authors of environments, which does not concern who wraps them
ADVICE = [
    "ignore:.*is different from the unwrapped version",
    "ignore:.*A Box (observation|action) space m.* value is -?infinity",
    "ignore:.*recommend using a symmetric and normalized space",
]

SHOWN: dict[str, spaces.Space[Any]] = {
    "dict": Dict({"where": Discrete(3, start=1), "speed": Box(-1, 1, (2,), np.float64), "seen": MultiDiscrete([2, 2])}),
    "tuple": Tuple((Discrete(2), Box(0, 9, (), np.int64))),
    "integers": Box(-5, 5, (2, 3), np.int16),
    "scalar": Box(0, 1, (), np.float32),
    "bytes": Box(0, 255, (4,), np.uint8),
    "floats": Box(-0.3, 0.3, (2,), np.float64),
    "huge": Box(-1e300, 1e300, (2,), np.float64),
    "foreign": Dict({"mission": spaces.Space()}),
    "words": Dict({"mission": Sequence(Discrete(9))}),
    "image": Box(0, 255, (5, 5, 3), np.uint8),
}
ACTED: dict[str, spaces.Space[Any]] = {
    "two": Discrete(2),
    "from_three": Discrete(4, start=3),
    "float64": Box(-0.1, 0.1, (2,), np.float64),
    "unbounded": Box(-np.inf, np.inf, (2,), np.float32),
    "half_bounded": Box(0, np.inf, (2,), np.float32),
    "integers": Box(0, 5, (2,), np.int64),
    "several": MultiDiscrete([2, 2]),
}


class Anything(gymnasium.Env[Any, Any]):
    """Shows random observations of any space, and takes only actions of any other; its reward is their sum."""

    def __init__(self, *, shows: str = "bytes", acts: str = "two") -> None:
        self.observation_space, self.action_space = SHOWN[shows], ACTED[acts]

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        assert action in self.action_space, action
        return self.observation_space.sample(), float(np.sum(action)), False, False, {}


class Halved(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Halves what it wraps."""

    def observation(self, observation: Any) -> Any:
        return observation / np.float32(2)


def doubled(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    return gymnasium.wrappers.TransformObservation(env, lambda values: values * 2 + 1, env.observation_space)


def no_wrapper(env: gymnasium.Env[Any, Any]) -> int:
    return 3


def task(shows: str = "bytes", acts: str = "two", **fields: Any) -> VectorTask:
    values: dict[str, Any] = {"id": "any", "env": f"{HERE}:Anything", "num_timesteps": 1, **fields}
    return VectorTask(env_kwargs={"shows": shows, "acts": acts}, **values)


@pytest.mark.parametrize(
    ("shows", "space"),
    [
        ("integers", Box(-5, 5, (2, 3), np.float32)),
        ("bytes", Box(0, 255, (4,), np.float32)),
        ("scalar", Box(0, 1, (1,), np.float32)),
        ("floats", Box(-0.3, 0.3, (2,), np.float32)),
        ("tuple", Box(0, np.array([1, 1, 9], np.float32), (3,), np.float32)),
        ("dict", Box(np.array([0] * 4 + [-1] * 2 + [0] * 3, np.float32), 1, (9,), np.float32)),
    ],
)
def test_observations_become_float32(shows: str, space: Box) -> None:
    made = task(shows)
    assert made.observation_space == space
    observation = made.make_env(evaluation=False).reset(seed=1)[0]
    assert observation.dtype == np.float32
    assert observation in space


def test_bounds_that_float32_cannot_hold_become_infinite() -> None:
    assert task("huge").observation_space == Box(-np.inf, np.inf, (2,), np.float32)


def test_a_dict_is_flattened_by_name_with_discrete_values_one_hot() -> None:
    env = task("dict").make_env(evaluation=False)
    flat = env.reset(seed=1)[0]
    SHOWN["dict"].seed(1)
    raw = SHOWN["dict"].sample()
    one_hot = np.zeros(4)
    one_hot[[raw["seen"][0], 2 + raw["seen"][1]]] = 1
    np.testing.assert_array_equal(flat[:4], one_hot)
    np.testing.assert_array_equal(flat[4:6], raw["speed"].astype(np.float32))
    np.testing.assert_array_equal(flat[6:], np.arange(1, 4) == raw["where"])


def test_actions_start_at_zero_and_boxes_are_float32() -> None:
    shifted = task(acts="from_three")
    assert shifted.action_space == Discrete(4)
    env = shifted.make_env(evaluation=False)
    env.reset(seed=1)
    assert [env.step(np.int64(action))[1] for action in range(4)] == [3, 4, 5, 6]
    box = task(acts="float64")
    assert box.action_space == Box(-0.1, 0.1, (2,), np.float32)
    env = box.make_env(evaluation=False)
    env.reset(seed=1)
    assert env.step(box.action_space.high)[1] == 0.2  # no more, as rounding to float32 would have it


@pytest.mark.parametrize("vectorization", ["in_process", "processes"])
def test_many_environments_convert_as_one_does(vectorization: str) -> None:
    envs = task("dict", "from_three", vectorization=vectorization).make_envs(2, seeds=SEEDS, evaluation=False)
    try:
        observations, _ = envs.reset()
        assert (observations.shape, observations.dtype) == ((2, 9), np.float32)
        assert envs.step(np.array([0, 3]))[1].tolist() == [3, 6]
    finally:
        envs.close()
    assert multiprocessing.active_children() == []


def test_wrappers_go_around_in_order() -> None:
    plain = task().make_env(evaluation=False).reset(seed=1)[0]
    wrapped = task(wrappers=[f"{HERE}:doubled", f"{HERE}:Halved"]).make_env(evaluation=False).reset(seed=1)[0]
    np.testing.assert_array_equal(wrapped, (plain.astype(np.uint8) * np.uint8(2) + np.uint8(1)) / np.float32(2))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shows": "words"}, "cannot be made one vector; add to 'wrappers' one that leaves what should be seen"),
        ({"shows": "foreign"}, "cannot be made one vector"),
        ({"shows": "image"}, "shows images, .*use a task of type 'image'"),
        ({"acts": "unbounded"}, "has no bounds; add to 'wrappers' one that gives it bounds"),
        ({"acts": "half_bounded"}, "has no bounds"),
        ({"acts": "integers"}, "policies act in Discrete spaces or bounded Boxes of floats; add to 'wrappers'"),
        ({"acts": "several"}, r"action space MultiDiscrete\(\[2 2\]\), and policies act"),
        ({"wrappers": [f"{HERE}:no_wrapper"]}, "wrapper '.*:no_wrapper' returned a int, where a gymnasium.Env"),
        ({"wrappers": ["gymnasium.wrappers:TimeLimit"]}, "wrapper '.*' cannot be put around environment '.*Anything'"),
        ({"wrappers": ["gymnasium.wrappers:TimLimit"]}, "'wrappers' names '.*', but .*Did you mean 'TimeLimit'"),
        ({"wrappers": ["no_such_module:Wrapper"]}, "'wrappers' names '.*No module named 'no_such_module'.* with pip"),
    ],
)
def test_what_has_no_such_form_names_the_task_and_says_what_to_do(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError, match=f"task 'any': .*{message}"):
        _ = task(**fields).observation_space


def test_a_wrapper_is_an_import_path() -> None:
    with pytest.raises(ValueError, match="'TimeLimit' should be 'module:Class' or 'module:function'"):
        task(wrappers=["TimeLimit"])


def test_the_spaces_of_one_environment_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    init = Anything.__init__

    def counting(self: Anything, **kwargs: Any) -> None:
        made.append(kwargs["shows"])
        init(self, **kwargs)

    monkeypatch.setattr(Anything, "__init__", counting)
    first = task("integers", max_episode_steps=77)
    longer = first.model_copy(update={"id": "longer", "num_timesteps": 9})
    assert first.observation_space == longer.observation_space
    assert first.action_space == longer.action_space
    assert made == ["integers"]
    _ = task("scalar", max_episode_steps=77).observation_space
    assert made == ["integers", "scalar"]


@pytest.mark.parametrize("evaluation", [False, True])
@pytest.mark.parametrize(
    "made",
    [
        VectorTask(id="box", env="CartPole-v1", num_timesteps=1),
        VectorTask(id="continuous", env="Pendulum-v1", num_timesteps=1),
        VectorTask(id="discrete", env="FrozenLake-v1", num_timesteps=1),
        VectorTask(id="module", env="gymnasium.envs.classic_control:CartPole-v1", num_timesteps=1),
        task("dict", "from_three"),
        task("floats", "float64", max_episode_steps=3),
        ImageTask(id="image", env="crl_core.tutorial:Catch", num_timesteps=1, image_size=(12, 9), frame_stack=4),
    ],
    ids=lambda made: getattr(made, "env", ""),
)
@pytest.mark.filterwarnings(*ADVICE)
def test_gymnasium_finds_nothing_wrong_with_an_environment(made: GymnasiumTask, evaluation: bool) -> None:
    check_env(made.make_env(evaluation=evaluation), skip_render_check=True)


def test_env_kwargs_are_what_json_leaves_of_them() -> None:
    task = VectorTask(id="cart", env="CartPole-v1", env_kwargs={"size": (1, 2)}, num_timesteps=1)
    assert task.env_kwargs == {"size": [1, 2]}
    with pytest.raises(ValidationError, match=r"should be what JSON can hold: .* a factory can make the rest"):
        VectorTask(id="cart", env="CartPole-v1", env_kwargs={"size": np.zeros(2)}, num_timesteps=1)


class Liar(gymnasium.Env[Any, Any]):
    """Shows what its space does not say, or steps as in the days of Gym."""

    observation_space = Box(-1, 1, (4,), np.float32)
    action_space = Discrete(2)

    def __init__(self, *, shape: list[int], old_style: bool = False) -> None:
        self.shape = shape
        self.old_style = old_style

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return np.zeros(self.shape, np.float32), {}

    def step(self, action: Any) -> Any:
        return (np.zeros(4, np.float32), 0.0, False, {}) if self.old_style else self.reset()


def test_an_environment_that_does_not_keep_its_word_is_told_so() -> None:
    def made(**kwargs: Any) -> Any:
        task = VectorTask(id="liar", env=f"{__name__}:Liar", env_kwargs=kwargs, num_timesteps=1)
        return task.make_env(evaluation=False)

    with pytest.raises(ValueError, match=r"it shows float32 \[5\], where its observation_space says float32 \[4\]"):
        made(shape=[5]).reset()
    env = made(shape=[4], old_style=True)
    env.reset()
    with pytest.raises(ValueError, match=r"step\(\) gave 4 values, where observation, reward, terminated, truncated"):
        env.step(0)
