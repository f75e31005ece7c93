"""Experiments without code: from Gymnasium, and from files; and what is said of those that are none."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from tests.crl_core.test_image_task import Film

from crl_core.errors import CrlError, ExperimentError, UnknownNameError
from crl_core.experiment_names import check_experiment, experiment_label
from crl_core.experiment_source import build_experiment
from crl_core.gymnasium_tasks import ImageTask, VectorTask
from crl_core.plugins import registry

REGISTERED = [each.full_name for each in registry().experiments() if each.distribution == "crl-core"]
CART = {"type": "vector", "id": "cart", "env": "CartPole-v1", "num_timesteps": 10}
CATCH = {"type": "image", "id": "catch", "env": "crl_core.tutorial:Catch", "num_timesteps": 10}


class ThreeActions(gymnasium.Env[Any, Any]):
    """Shows what CartPole-v1 shows, and has one more action."""

    observation_space = gymnasium.make("CartPole-v1").observation_space
    action_space = Discrete(3)


class Screen(Film):
    """An image of 100 rows."""

    def __init__(self) -> None:
        super().__init__(shape=(100, 50, 3))


HERE = "tests.crl_core.test_experiment_source"


def write(directory: Path, data: Any, name: str = "small.json") -> str:
    path = directory / name
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return str(path)


def test_a_vector_environment_of_gymnasium() -> None:
    made = build_experiment("gym:CartPole-v1")
    assert made.tasks == (VectorTask(id="CartPole-v1", env="CartPole-v1", num_timesteps=100_000),)
    assert (made.cycle_count, made.continual_testing_freq) == (1, 20_000)


def test_several_environments_have_ids_and_action_spaces_of_their_own() -> None:
    made = build_experiment(f"gym:CartPole-v1, {HERE}:ThreeActions, CartPole-v1")
    assert [task.id for task in made.tasks] == ["CartPole-v1", f"{HERE}:ThreeActions", "CartPole-v1-2"]
    assert [task.action_space_id for task in made.tasks] == [0, 1, 0]
    assert made.action_spaces == {0: Discrete(2), 1: Discrete(3)}


def test_images_of_gymnasium_are_resized_where_they_are_large() -> None:
    (small,) = build_experiment("gym:crl_core.tutorial:Catch").tasks
    (large,) = build_experiment(f"gym:{HERE}:Screen").tasks
    assert isinstance(small, ImageTask)
    assert small.image_size is None
    assert large.observation_space == Box(0, 255, (3, 84, 84), np.uint8)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gym:", "an environment's name is empty; write gym:CartPole-v1"),
        ("gym:CartPole-v1,", "an environment's name is empty"),
        ("gym:CartPol-v1", "environment 'CartPol-v1' cannot be made: .*Did you mean: `CartPole`"),
        (
            "gym:CartPole-v1,Acrobot-v1",
            r"must share one observation space, but 'CartPole-v1' has Box.*'Acrobot-v1' has",
        ),
        ("gym:CartPole-v1,gym:Acrobot-v1", "cannot be made: .*No module named 'gym'"),
    ],
)
def test_what_gymnasium_has_not(name: str, message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        build_experiment(name)


def test_json_and_toml_are_the_same_experiment(tmp_path: Path) -> None:
    toml = """
        cycle_count = 2
        continual_testing_freq = 50

        [[tasks]]
        type = "image"
        id = "plain"
        env = "crl_core.tutorial:Catch"
        num_timesteps = 100
        image_size = [8, 8]

        [[tasks]]
        type = "image"
        id = "mirrored"
        env = "crl_core.tutorial:Catch"
        env_kwargs = { mirrored = true }
        num_timesteps = 200
        image_size = [8, 8]
        """
    made = build_experiment(write(tmp_path, toml, "small.toml"))
    assert made == build_experiment(write(tmp_path, tomllib.loads(toml), "small.JSON"))
    assert made.total_steps == 600
    assert made.observation_space == Box(0, 255, (1, 8, 8), np.uint8)
    assert made.tasks[1] == ImageTask(
        id="mirrored",
        env="crl_core.tutorial:Catch",
        env_kwargs={"mirrored": True},
        num_timesteps=200,
        image_size=(8, 8),
    )


@pytest.mark.parametrize("name", REGISTERED)
def test_registered_experiments_survive_a_file(name: str, tmp_path: Path) -> None:
    before = build_experiment(name)
    assert build_experiment(write(tmp_path, before.model_dump(mode="json"))) == before


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([CART], "an experiment is an object with 'tasks'"),
        ({"cycle_count": 2}, "tasks: is required"),
        ({"tasks": {"a": CART}}, "tasks: should be a valid tuple, got "),
        ({"tasks": []}, "tasks: .*at least 1 item"),
        ({"tasks": [CART], "cycle_cuont": 2}, r"cycle_cuont: is not a field. Did you mean 'cycle_count'\?"),
        ({"tasks": [CART], "cycle_count": 0}, "cycle_count: should be greater than or equal to 1, got 0"),
        ({"tasks": [CART, CART]}, "task ids must be unique, but these repeat: cart"),
        ({"tasks": [CART, "cart"]}, r"tasks\[1\]: should be an object with the fields of a task, got 'cart'"),
        ({"tasks": [{**CART, "type": None}]}, r"tasks\[0\] 'cart': task 'cart' names no type; see `crl list tasks`"),
        (
            {"tasks": [{**CART, "type": "vctor"}]},
            r"tasks\[0\] 'cart': unknown task type 'vctor'. Did you mean 'vector'",
        ),
        ({"tasks": [{**CART, "frame_stack": 2}]}, r"tasks\[0\] 'cart': frame_stack: is not a field\."),
        (
            {"tasks": [{**CART, "env": "CartPol-v1"}]},
            "task 'cart': environment 'CartPol-v1' cannot be made: .*CartPole",
        ),
        ({"tasks": [{**CART, "vectorization": "proceses"}]}, "vectorization: should be 'native', .*, got 'proceses'"),
        ({"tasks": [{**CART, "wrappers": ["Wrap"]}]}, r"wrappers: 'Wrap' should be 'module:Class'"),
        ({"tasks": [{**CATCH, "image_size": [10**15, 10**15]}]}, "it cannot be built: .*MemoryError: "),
        ({"tasks": ["x" * 10_000] * 100}, r"got 'x+ \[\.\.\.\] x+'\n(.*\n){19}  and 80 more$"),
    ],
)
def test_files_that_are_no_experiments(data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=message) as raised:
        build_experiment(write(tmp_path, data))
    assert str(raised.value).startswith(str(tmp_path / "small.json"))


def test_everything_wrong_with_the_tasks_is_told_at_once(tmp_path: Path) -> None:
    wrong = [{**CART, "num_timestep": 3}, {"type": "image", "id": "picture", "num_timesteps": 0}]
    with pytest.raises(ExperimentError) as raised:
        build_experiment(write(tmp_path, {"tasks": wrong}))
    assert str(raised.value).splitlines() == [
        f"{tmp_path / 'small.json'} does not validate:",
        "  tasks[0] 'cart': num_timestep: is not a field. Did you mean 'num_timesteps'?",
        "  tasks[1] 'picture': num_timesteps: should be greater than or equal to 1, got 0",
        "  tasks[1] 'picture': env: is required",
    ]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("absent.json", ExperimentError, "absent.json cannot be read: No such file"),
        ("folder.toml", ExperimentError, "folder.toml cannot be read: "),
        ("empty.json", ExperimentError, "empty.json is not JSON: .* line 1, column 1"),
        ("broken.json", ExperimentError, "broken.json is not JSON: .* line 2, column 3"),
        ("broken.toml", ExperimentError, "broken.toml is not TOML: .*line 1"),
        ("latin.json", ExperimentError, "latin.json is not UTF-8 text"),
        ("noted", UnknownNameError, "unknown experiment 'noted'.* An experiment file's name ends in .json or .toml"),
        ("CartPole-v1", UnknownNameError, "unknown experiment 'CartPole-v1'.* is named so: gym:CartPole-v1"),
        ("minigrid:MiniGrid-Empty-5x5-v0", UnknownNameError, "named so: gym:minigrid:MiniGrid-Empty-5x5-v0"),
        ("tutrial", UnknownNameError, r"Did you mean 'tutorial'\? `crl list experiments` shows what is installed\.$"),
    ],
)
def test_what_is_no_experiment_is_told_before_anything_is_made(
    name: str, error: type[CrlError], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin.json").write_bytes(b'{"tasks": "\xe9"}')
    for file, text in {
        "empty.json": "",
        "broken.json": "{\n  tasks: []}",
        "broken.toml": "tasks = ]",
        "noted": "",
    }.items():
        (tmp_path / file).write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        check_experiment(name)
    with pytest.raises(error, match=message):
        build_experiment(name)


def test_names_are_checked_without_what_takes_long_to_import() -> None:
    code = (
        "import sys; from crl_core.experiment_names import check_experiment; check_experiment('gym:CartPole-v1');"
        "print({'torch', 'gymnasium', 'numpy'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("tutorial", "tutorial"),
        ("crl-core/tutorial", "crl-core-tutorial"),
        ("gym:CartPole-v1", "gym-CartPole-v1"),
        ("gym:ALE/Pong-v5, a.b:Make", "gym-ALE-Pong-v5-a.b-Make"),
        ("/far/away/two games.json", "two-games"),
        ("../x.toml", "x"),
        ("gym:" + "Long-v0," * 99, ("gym-" + "Long-v0-" * 99)[:80]),
    ],
)
def test_a_label_is_fit_for_a_directory(name: str, label: str) -> None:
    assert experiment_label(name) == label
