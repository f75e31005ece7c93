"""A policy gets the registered runner that its settings name, or one message says why not."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from tests.crl_core.scripted import Row, ScriptedTask, TellingPolicy

from crl_core.config import PolicyConfig
from crl_core.errors import PluginError, UnknownNameError
from crl_core.runners.base import EnvironmentRunner
from crl_core.runners.batch import BatchRunner
from crl_core.runners.full_parallel import FullParallelRunner
from crl_core.runners.sync import SyncRunner


class AnyRunnerConfig(PolicyConfig):
    supported_runners: ClassVar[tuple[str, ...]] = (*PolicyConfig.supported_runners, "synk")


def choose(name: str, *, eval_mode: bool = False, **options: Any) -> EnvironmentRunner:
    policy = TellingPolicy()
    policy.config = AnyRunnerConfig(runner=name)
    policy.options = options
    task = ScriptedTask(id="scripted", num_timesteps=100, scripts=((Row(),),))
    return policy.get_environment_runner(task, seed=np.random.SeedSequence(0), eval_mode=eval_mode)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("batch", BatchRunner),
        ("sync", SyncRunner),
        ("full-parallel", FullParallelRunner),
        ("crl-core/sync", SyncRunner),
    ],
)
def test_names_are_those_of_the_registry(name: str, kind: type[EnvironmentRunner]) -> None:
    assert type(choose(name, num_envs=2, num_steps=3)) is kind
    assert type(choose(name, num_envs=2, num_steps=3, eval_mode=True)) is BatchRunner


def test_a_runner_that_is_not_installed_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown runner 'synk'\. Did you mean 'sync'\? `crl list runners`"):
        choose("synk")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"num_envs": 2}, "num_envs: missing a required .*argument: 'num_steps'"),
        (
            {"num_envs": 2, "num_steps": 3, "batch_size": 4},
            "num_envs, num_steps, batch_size: got an unexpected keyword argument 'batch_size'",
        ),
        ({}, "none: missing a required .*argument: 'num_envs'"),
    ],
)
def test_options_a_runner_does_not_take_are_told(options: dict[str, Any], why: str) -> None:
    with pytest.raises(PluginError, match=rf"^runner 'sync' \(crl-core .*\) .* TellingPolicy has for it, {why}"):
        choose("sync", **options)


@pytest.mark.parametrize("loaded", [object(), dict, EnvironmentRunner.close])
def test_what_is_no_runner_is_told(monkeypatch: pytest.MonkeyPatch, loaded: Any) -> None:
    monkeypatch.setattr("crl_core.runners.making.load_object", lambda path, owner: loaded)
    with pytest.raises(PluginError, match=r"^runner 'sync' \(crl-core .*\) cannot be made with"):
        choose("sync", num_envs=1, num_steps=1)
