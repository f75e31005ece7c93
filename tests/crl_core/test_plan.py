"""What is decided before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.crl_core.small_runs import GuessingPolicy, catch_experiment, make_plan

from crl_core.config import RunConfig
from crl_core.errors import DeviceError, ExperimentError, PluginError, RunDirectoryError, UnknownNameError
from crl_core.experiment_source import build_experiment
from crl_core.plan import override, plan_run
from crl_core.plugins import registry
from crl_core.resolve import resolve

PLUGIN = """
from crl_core.hookspecs import hookimpl
from crl_core.specs import ExperimentSpec, PolicySpec


@hookimpl
def crl_policies():
    yield PolicySpec(
        name="guessing",
        summary="Guesses.",
        policy="tests.crl_core.small_runs:GuessingPolicy",
        config="crl_core.config:PolicyConfig",
    )
    yield PolicySpec(name="no_policy", summary="None.", policy="json:loads", config="crl_core.config:PolicyConfig")


@hookimpl
def crl_experiments():
    for name in ("invalid", "raising", "wrong", "misnamed"):
        yield ExperimentSpec(name=name, summary="Broken.", build="fixture_plan:" + name)


def invalid():
    from crl_core.experiment import Experiment
    from crl_core.tutorial import tutorial

    return Experiment(tasks=[*tutorial().tasks, *tutorial().tasks])


def raising():
    raise KeyError("games")


def wrong():
    return [1, 2]


def misnamed():
    from crl_core.experiment import Experiment

    return Experiment(tasks=[{"type": "imgae"}])
"""


@pytest.fixture(autouse=True)
def _plugin(site: Path, install_code: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    install_code("fixture-plan", PLUGIN)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(site.parent)
    registry.cache_clear()
    yield
    registry.cache_clear()


def plan(**settings: Any) -> Any:
    resolved = resolve({"policy": "guessing", "experiment": "tutorial", **settings})
    return plan_run(resolved.run, resolved.policy)


def files(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.name not in {"site", "__pycache__"}]


def test_a_plan_knows_everything_and_writes_nothing(tmp_path: Path) -> None:
    made = plan(output_dir=str(tmp_path / "run"), num_timesteps="1e3", seed=4)
    assert made.policy_class is GuessingPolicy
    assert made.device in {torch.device("cpu"), torch.device("cuda")}
    assert made.experiment.total_steps == 2000
    assert made.run_id.startswith("run-")
    assert files(tmp_path) == []


def test_the_record_is_plain_and_whole(tmp_path: Path) -> None:
    record = json.loads(json.dumps(plan(seed=4, comment="first try").record()))
    assert record["run"]["seed"] == 4
    assert record["run"]["comment"] == "first try"
    assert record["policy"] == {
        "name": "guessing",
        "distribution": "fixture-plan",
        "version": "1.0",
        "settings": {"runner": "batch"},
    }
    assert record["experiment"]["name"] == "tutorial"
    assert record["experiment"]["tasks"][1]["env_kwargs"] == {"mirrored": True}
    assert {"crl-core", "fixture-plan"} <= record["plugins"].keys()
    assert record["environment"]["torch"] == torch.__version__


def test_two_runs_never_have_one_id(tmp_path: Path) -> None:
    assert plan(output_dir="x").run_id != plan(output_dir="x").run_id


def test_a_run_in_the_directory_one_stands_in_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert plan(output_dir=".").run_id.startswith("here-")


def test_overrides_reach_every_task_and_only_what_was_given() -> None:
    before = catch_experiment(cycle_count=2, continual_testing_freq=70)
    config = RunConfig(policy="p", experiment="e", num_timesteps=7, continual_eval_num_returns=3, eval_max_steps=2)
    after = override(before, config)
    assert [(task.num_timesteps, task.continual_eval_num_returns, task.eval_max_steps) for task in after.tasks] == [
        (7, 3, 2),
        (7, 3, 2),
    ]
    assert (after.cycle_count, after.continual_testing_freq) == (2, 70)
    assert override(before, RunConfig(policy="p", experiment="e")) == before
    other = override(before, RunConfig(policy="p", experiment="e", cycle_count=5, continual_testing_freq=9))
    assert (other.cycle_count, other.continual_testing_freq) == (5, 9)
    assert {task.environment_threads for task in before.tasks} == {"auto"}
    threaded = override(before, RunConfig(policy="p", experiment="e", environment_threads=3))
    assert {task.environment_threads for task in threaded.tasks} == {3}
    assert other.tasks == before.tasks


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("tutrial", UnknownNameError, "unknown experiment 'tutrial'. Did you mean 'tutorial'?"),
        ("invalid", ExperimentError, "experiment 'invalid' does not validate:\n.*task ids must be unique"),
        ("raising", PluginError, r"experiment 'raising' \(fixture-plan 1.0\) cannot be built: KeyError: 'games'"),
        ("wrong", PluginError, r"experiment 'wrong' \(fixture-plan 1.0\) returned a list, where a crl_core.Experiment"),
        ("misnamed", UnknownNameError, "Did you mean 'image'"),
    ],
)
def test_experiments_that_cannot_be_built(name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build_experiment(name)


def test_what_is_no_policy_is_the_plugins_fault() -> None:
    with pytest.raises(PluginError, match=r"fixture-plan 1.0 names 'json:loads' as a policy"):
        plan(policy="no_policy")


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"--device: 'cuda:99' is not there on this machine; here are: cpu"):
        plan(device="cuda:99")
    assert files(tmp_path) == []


def test_a_directory_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(RunDirectoryError, match="--output-dir: taken exists"):
        plan(output_dir="taken")


def test_the_same_seed_makes_the_same_policy_and_another_seed_another(tmp_path: Path) -> None:
    def weight(seed: int) -> float:
        policy = make_plan(tmp_path / "run", catch_experiment(), seed=seed).make_policy()
        assert isinstance(policy, GuessingPolicy)
        return policy.network.weight.item()

    assert weight(1) == weight(1) != weight(2)
    assert files(tmp_path) == []
