"""Image tasks: the one form images are brought into, and environments here and in processes of their own."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import cv2
import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from crl_core.errors import ExperimentError
from crl_core.gymnasium_tasks import ImageTask
from crl_core.workers import WorkerEnvs

SEEDS = np.array([3, 5], np.int32)
HERE = "tests.crl_core.test_image_task"


class Film(gymnasium.Env[Any, Any]):
    """Frame k of an episode is full of 10 k + 1, with 200 in its upper left corner; it ends after `length`."""

    def __init__(
        self, *, shape: tuple[int, ...] = (4, 6), length: int = 6, fails_at: int | None = None, how: str = "raise"
    ) -> None:
        self.observation_space = Box(0, 255, shape, np.uint8)
        self.action_space = Discrete(2)
        self._shape, self._length, self._fails_at, self._how = shape, length, fails_at, how
        self._clock = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._clock = 0
        return self._frame(), {"seeded": seed if seed is not None else -1}

    def step(self, action: Any) -> Any:
        self._clock += 1
        if self._clock == self._fails_at:
            self._fail()
        return self._frame(), float(action), self._clock == self._length, False, {}

    def _fail(self) -> None:
        if self._how == "die":
            os._exit(3)
        if self._how == "hang":
            time.sleep(1000)
        raise TwoArgumentsError("joystick", "broke")

    def _frame(self) -> Any:
        frame = np.full(self._shape, 10 * self._clock + 1, np.uint8)
        frame[0, 0] = 200
        return frame


class TwoArgumentsError(Exception):
    """An exception that cannot be made again from its message."""

    def __init__(self, what: str, how: str) -> None:
        super().__init__(what, how)

    def __str__(self) -> str:
        return f"the {self.args[0]} {self.args[1]}"


def no_environment() -> str:
    return "not an environment"


def raises() -> None:
    raise ValueError("no display")


def dies_in_a_worker() -> Film:
    if multiprocessing.parent_process() is not None:
        os._exit(3)
    return Film()


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        gc.collect()
    return condition()


def task(**fields: Any) -> ImageTask:
    values: dict[str, Any] = {"id": "film", "env": f"{HERE}:Film", "num_timesteps": 1, "eval_max_steps": 4, **fields}
    return ImageTask(**values)


def film(**fields: Any) -> gymnasium.Env[Any, Any]:
    return task(**fields).make_env(evaluation=False)


def test_a_plain_image_gets_one_channel() -> None:
    env = film()
    image, _ = env.reset(seed=1)
    assert env.observation_space == Box(0, 255, (1, 4, 6), np.uint8)
    assert (image.shape, image.dtype) == ((1, 4, 6), np.uint8)
    assert image[0, 0].tolist() == [200, 1, 1, 1, 1, 1]


def test_channels_come_first() -> None:
    env = film(env_kwargs={"shape": (4, 6, 3)})
    image, _ = env.reset(seed=1)
    assert env.observation_space.shape == image.shape == (3, 4, 6)
    assert image.flags.c_contiguous


def test_colours_become_grey_and_what_is_no_colour_stays() -> None:
    env = film(env_kwargs={"shape": (4, 6, 3)}, grayscale=True)
    image, _ = env.reset(seed=1)
    assert env.observation_space.shape == image.shape == (1, 4, 6)
    assert abs(int(image[0, 0, 0]) - 200) <= 1
    assert film(env_kwargs={"shape": (4, 6, 1)}, grayscale=True).reset(seed=1)[0].shape == (1, 4, 6)
    assert film(env_kwargs={"shape": (4, 6, 5)}, grayscale=True).reset(seed=1)[0].shape == (5, 4, 6)


@pytest.mark.parametrize("shape", [(12, 20), (12, 20, 3)])
def test_resizing_takes_height_first_and_the_mean_of_each_area(shape: tuple[int, ...]) -> None:
    env = film(env_kwargs={"shape": shape}, image_size=(4, 5))
    image, _ = env.reset(seed=1)
    assert env.observation_space.shape == image.shape == (*(shape[2:] or (1,)), 4, 5)
    assert image.dtype == np.uint8
    assert image[:, 0, 0].tolist() == [round((200 + 11) / 12)] * image.shape[0]
    assert (image[:, 1:] == 1).all()


@pytest.mark.parametrize(("old", "new"), [((210, 160), (84, 84)), ((84, 84), (42, 21)), ((96, 96), (64, 64))])
def test_resizing_is_what_opencv_calls_area(old: tuple[int, int], new: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(256, size=old, dtype=np.uint8)

    class Picture(Film):
        def _frame(self) -> Any:
            return picture

    gymnasium.register("Picture-v0", lambda: Picture(shape=old))
    try:
        image, _ = film(env="Picture-v0", image_size=new).reset(seed=1)
    finally:
        del gymnasium.registry["Picture-v0"]
    expected = cv2.resize(picture, new[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(image[0].astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.parametrize("size", [(0, 84), (84, -1)])
def test_a_size_that_no_image_has_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        ImageTask(id="film", env="Film-v0", num_timesteps=1, image_size=size)


def test_a_stack_has_the_newest_frame_last_and_black_ones_before_the_start() -> None:
    env = film(frame_stack=3)
    image, _ = env.reset(seed=1)
    assert env.observation_space == Box(0, 255, (3, 4, 6), np.uint8)
    assert image[:, 1, 1].tolist() == [0, 0, 1]
    seen = [env.step(0)[0][:, 1, 1].tolist() for _ in range(6)]
    assert seen[0] == [0, 1, 11]
    assert seen[1] == [1, 11, 21]
    assert seen[-1] == [41, 51, 61]
    assert env.reset()[0][:, 1, 1].tolist() == [0, 0, 1]


def test_a_stack_of_colours_keeps_each_frames_channels_together() -> None:
    env = film(frame_stack=2, env_kwargs={"shape": (4, 6, 3)})
    env.reset(seed=1)
    assert env.step(0)[0][:, 1, 1].tolist() == [1, 1, 1, 11, 11, 11]


def test_a_time_limit_truncates() -> None:
    env = film(max_episode_steps=2)
    env.reset(seed=1)
    assert env.step(0)[2:4] == (False, False)
    assert env.step(0)[2:4] == (False, True)


@pytest.mark.parametrize(
    ("env", "kwargs", "message"),
    [
        ("CartPole-v1", {}, "task 'film': environment 'CartPole-v1' does not show images: its observation space is"),
        (f"{HERE}:Film", {"shape": (4,)}, "does not show images"),
        (f"{HERE}:Film", {"size": 3}, "cannot be made: TypeError: .*unexpected keyword argument 'size'"),
        (f"{HERE}:Flim", {}, "'env' names '.*:Flim', but '.*' has no 'Flim'. Did you mean 'Film'?"),
        ("no_such_module:Film", {}, "'env' names 'no_such_module:Film', .*No module named .* with pip"),
        ("no_such_module:Film-v0", {}, "'no_such_module:Film-v0' cannot be made: No module .* with pip"),
        (f"{HERE}:raises", {}, "cannot be made: ValueError: no display"),
        (f"{HERE}:no_environment", {}, "returned a str, where a gymnasium.Env was expected"),
        ("CartPol-v1", {}, "'CartPol-v1' cannot be made: .* Did you mean: `CartPole`.*is named with the module"),
    ],
)
def test_what_is_no_image_environment(env: str, kwargs: dict[str, Any], message: str) -> None:
    broken = task(env=env, env_kwargs=kwargs)
    with pytest.raises(ExperimentError, match=message):
        _ = broken.observation_space


def test_spaces_are_known_without_an_episode() -> None:
    known = task(frame_stack=2)
    assert known.observation_space == Box(0, 255, (2, 4, 6), np.uint8)
    assert known.action_space == Discrete(2)


@pytest.mark.parametrize("vectorization", ["in_process", "processes"])
def test_environments_step_together_each_with_its_seed(vectorization: str) -> None:
    envs = task(vectorization=vectorization, env_kwargs={"length": 2}).make_envs(2, seeds=SEEDS, evaluation=False)
    try:
        images, infos = envs.reset()
        assert images.shape == (2, 1, 4, 6)
        assert infos["seeded"].tolist() == [3, 5]
        seen = [envs.step(np.array([0, 1])) for _ in range(4)]
        assert [step[0][:, 0, 1, 1].tolist() for step in seen] == [[11, 11], [21, 21], [1, 1], [11, 11]]
        assert [step[1].tolist() for step in seen] == [[0, 1], [0, 1], [0, 0], [0, 1]]
        assert [step[2].tolist() for step in seen] == [[False] * 2, [True] * 2, [False] * 2, [False] * 2]
        assert seen[2][4]["seeded"].tolist() == [-1, -1]  # a seed is for the first reset alone
    finally:
        envs.close()
    assert multiprocessing.active_children() == []


def test_evaluation_truncates_at_eval_max_steps() -> None:
    for evaluation, steps in ((True, 4), (False, 6)):
        envs = task().make_envs(1, seeds=SEEDS[:1], evaluation=evaluation)
        envs.reset()
        ends = [envs.step(np.array([0]))[2:4] for _ in range(6)]
        envs.close()
        assert [bool(ended[0][0] | ended[1][0]) for ended in ends].index(True) + 1 == steps


def failing(how: str) -> Any:
    kwargs = {"fails_at": 2, "how": how}
    envs = task(vectorization="processes", env_kwargs=kwargs).make_envs(2, seeds=SEEDS, evaluation=False)
    envs.reset()
    envs.step(np.array([0, 0]))
    return envs


def test_what_a_worker_raises_is_raised_here_with_its_own_traceback() -> None:
    envs = failing("raise")
    with pytest.raises(Exception, match="the joystick broke") as raised:
        envs.step(np.array([0, 0]))
    assert type(raised.value).__name__ == "TwoArgumentsError"
    assert "in _fail" in str(raised.value.__cause__)
    envs.close()
    assert multiprocessing.active_children() == []


def test_a_workers_death_is_noticed() -> None:
    envs = failing("die")
    with pytest.raises(RuntimeError, match="a worker process died"):
        envs.step(np.array([0, 0]))
    envs.close()
    assert multiprocessing.active_children() == []


def test_a_worker_that_was_killed_is_noticed() -> None:
    envs = failing("raise")
    assert isinstance(envs.env, WorkerEnvs)
    os.kill(envs.env.processes[1].pid, signal.SIGKILL)
    envs.env.processes[1].join()
    with pytest.raises(RuntimeError, match=r"a worker process died: .*-1 \(exit code -9\)"):
        envs.step(np.array([0, 0]))
    envs.close()
    assert multiprocessing.active_children() == []


def test_a_worker_that_hangs_is_given_up_and_can_be_closed() -> None:
    envs = failing("hang")
    envs.env._answer_seconds = 0.2
    with pytest.raises(TimeoutError, match=r"a worker process gave no answer for 0\.2 seconds"):
        envs.step(np.array([0, 0]))
    envs.close()
    assert multiprocessing.active_children() == []


def test_time_for_which_the_process_was_suspended_is_not_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    hours = itertools.count(step=3600.0)
    envs = task(vectorization="processes").make_envs(2, seeds=SEEDS, evaluation=False)
    try:
        monkeypatch.setattr("crl_core.workers.time.monotonic", lambda: next(hours))
        envs.reset()
        envs.step(np.array([0, 0]))
    finally:
        monkeypatch.undo()
        envs.close()


def test_ctrl_c_is_left_to_the_main_process() -> None:
    envs = task(vectorization="processes").make_envs(2, seeds=SEEDS, evaluation=False)
    try:
        envs.reset()
        for process in envs.env.processes:  # type: ignore[attr-defined]  # it is a wrapper
            os.kill(process.pid, signal.SIGINT)
        images = envs.step(np.array([0, 0]))[0]
        assert images[:, 0, 1, 1].tolist() == [11, 11]
    finally:
        envs.close()


def test_a_worker_that_cannot_make_its_environment_is_a_failure() -> None:
    with pytest.raises(RuntimeError, match=r"a worker process died: .*exit code 3"):
        WorkerEnvs([dies_in_a_worker])
    assert wait_until(lambda: multiprocessing.active_children() == [])


def test_closing_again_does_nothing() -> None:
    envs = task(vectorization="processes").make_envs(1, seeds=SEEDS[:1], evaluation=False)
    envs.close()
    envs.close()
    assert multiprocessing.active_children() == []
