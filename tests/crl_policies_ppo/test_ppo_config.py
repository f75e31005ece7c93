"""PPO's settings: the names and defaults configs rely on, what is refused and what is ignored."""

from __future__ import annotations

from typing import Any

import pytest

from crl_core.errors import ConfigError
from crl_core.resolve import ResolvedSettings, resolve
from crl_policies_ppo.config import PpoConfig, atari_preset


def resolved(**settings: Any) -> ResolvedSettings:
    return resolve({"policy": "ppo", "experiment": "tutorial", **settings})


def policy_config(**settings: Any) -> PpoConfig:
    config = resolved(**settings).policy
    assert isinstance(config, PpoConfig)
    return config


def test_defaults() -> None:
    assert PpoConfig().model_dump() == {
        "runner": "batch",
        "num_processes": 16,
        "num_steps": 5,
        "ppo_epoch": 4,
        "num_mini_batch": 32,
        "clip_param": 0.2,
        "use_clipped_value_loss": True,
        "gamma": 0.99,
        "use_gae": False,
        "gae_lambda": 0.95,
        "entropy_coef": 0.01,
        "value_loss_coef": 0.5,
        "learning_rate": 7e-4,
        "eps": 1e-5,
        "max_grad_norm": 0.5,
        "use_linear_lr_decay": False,
        "decay_over_steps": 10_000_000,
        "clip_reward": True,
        "no_eval_mode": False,
        "recurrent_policy": False,
        "precision": "auto",
    }


def test_atari_preset() -> None:
    config = policy_config(preset="atari", gamma="0.98")
    assert config == PpoConfig(**atari_preset(), gamma=0.98)
    assert (config.clip_param, config.num_steps, config.num_mini_batch) == (0.1, 128, 4)


@pytest.mark.parametrize("name", ["clip_param", "clip_eps", "clip-eps", "--clip-eps"])
@pytest.mark.parametrize("value", [0.3, "0.3"])
def test_clipping_has_two_names(name: str, value: object) -> None:
    config = policy_config(**{name: value})
    assert config.clip_param == 0.3
    assert PpoConfig.model_validate(config.model_dump(mode="json")) == config


def test_both_names_of_clipping_are_refused() -> None:
    with pytest.raises(ConfigError, match="clip_eps is another name for clip_param, and both are set"):
        resolved(clip_eps=0.3, clip_param=0.3)


def test_bounds_hold_under_both_names() -> None:
    with pytest.raises(ConfigError, match="clip-param: should be greater than 0"):
        resolved(clip_eps=0)


def test_settings_that_mean_nothing_here_are_ignored_with_a_warning_each() -> None:
    warnings = resolved(use_proper_time_limits=True, cuda="false", render_collection_freq=200000).warnings
    assert [warning.split(",")[0] for warning in warnings] == [
        "ignored: use_proper_time_limits",
        "ignored: cuda",
        "ignored: render_collection_freq",
    ]
    assert "--device" in warnings[1]


def test_recurrent_policies_are_refused() -> None:
    assert not policy_config(recurrent_policy="false").recurrent_policy
    with pytest.raises(ConfigError, match="recurrent networks are not supported yet"):
        resolved(recurrent_policy=True)


def test_more_minibatches_than_steps_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"num_mini_batch is 32, .* num_processes\*num_steps = 20 steps"):
        resolved(num_processes=4)
    assert policy_config(num_processes=4, num_mini_batch=20).num_mini_batch == 20


@pytest.mark.parametrize("runner", ["batch", "sync", "full_parallel"])
def test_runners(runner: str) -> None:
    assert policy_config(runner=runner).runner == runner


def test_other_runners_are_refused() -> None:
    with pytest.raises(ConfigError, match="'pipelined' is not one this policy supports: batch, sync, full_parallel"):
        resolved(runner="pipelined")


def test_whole_episodes_have_no_number_of_steps() -> None:
    assert policy_config(num_steps="none", num_processes=2).num_steps is None
