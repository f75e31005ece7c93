"""IMPALA's settings. No torch here: `crl run --policy impala --help` imports this file."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from crl_core.config import PolicyConfig, ThreadCount

__all__ = ["ImpalaConfig", "atari_preset", "cartpole_preset", "minatar_preset", "tutorial_preset"]

_NO_YIELDING = "collection is never torn down between updates here, so there is nothing to wait for"


class ImpalaConfig(PolicyConfig):
    """Settings of IMPALA; names and defaults are those of the CORA baselines (Powers et al., 2022) unless noted."""

    supported_runners: ClassVar[tuple[str, ...]] = ("pipelined", "batch")
    ignored_settings: ClassVar[dict[str, str]] = {
        "num_buffers": "the queue of unrolls is sized by itself",
        "num_learner_threads": "--learner-threads says how many threads learn",
        "seconds_between_yields": _NO_YIELDING,
        "pause_actors_during_yield": _NO_YIELDING,
        "disable_checkpoint": "a run survives by its checkpoints; --timesteps-per-save sets how often they are written",
    }

    runner: str = Field("pipelined", description="The environment runner: pipelined (overlaps) or batch (takes turns).")
    deterministic: bool = Field(
        False, description="Collect and learn in turns with runner pipelined too, so that a seed gives one run only."
    )
    num_collectors: ThreadCount = Field(
        "auto",
        description="Threads of runner pipelined that play, at most num_actors; auto: one for 4 cores.",
    )
    learner_threads: ThreadCount = Field(
        "auto",
        description="Threads that share out a batch on a CPU, all but one of them at low priority; auto: 1, or 2 "
        "for CLEAR with runner pipelined.",
    )
    num_actors: int = Field(4, ge=1, description="Environments to collect from.")
    batch_size: int = Field(
        8, ge=1, description="Unrolls in one learner batch; runner batch has no more than num_actors."
    )
    unroll_length: int = Field(80, ge=1, description="Steps in an unroll.")
    entropy_cost: float = Field(0.0006, ge=0, description="Weight of the entropy bonus.")
    baseline_cost: float = Field(0.5, ge=0, description="Weight of the value loss, which has a factor 1/2 of its own.")
    discounting: float = Field(0.99, ge=0, le=1, description="Discount factor.")
    reward_clipping: Literal["abs_one", "none"] = Field(
        "abs_one", description="abs_one clips rewards to [-1, 1] for learning."
    )
    normalize_reward: bool = Field(
        False, description="Divide rewards by their running root mean square, before clipping."
    )
    learning_rate: float = Field(0.00048, ge=0, description="Learning rate at the start of a task.")
    optimizer: Literal["rmsprop", "adam"] = Field("rmsprop", description="The optimizer.")
    use_scheduler: bool = Field(
        True, description="Whether the learning rate falls linearly to 0 over each task's steps."
    )
    alpha: float = Field(0.99, ge=0, lt=1, description="RMSProp: smoothing constant.")
    momentum: float = Field(0.0, ge=0, lt=1, description="RMSProp: momentum.")
    epsilon: float = Field(0.01, gt=0, description="RMSProp and Adam: added to the denominator.")
    grad_norm_clipping: float = Field(40.0, gt=0, description="Largest norm of the gradient.")
    eval_episode_num_parallel: int = Field(10, ge=1, description="Environments that evaluate a task side by side.")
    conv_net_arch: Literal["orig", "8xorig", "32xorig", "impala_res_cnn", "none"] = Field(
        "orig",
        description="orig: Nature CNN; 8xorig, 32xorig: with 6 and 14 times the channels; impala_res_cnn: residual; "
        "none: no convolutions.",
    )
    sep_critic_conv_net: bool = Field(False, description="Whether the value has an encoder of its own.")
    baseline_extended_arch: bool = Field(False, description="Whether the value head has two hidden layers of 32 units.")
    baseline_includes_uncertainty: bool = Field(
        False,
        description="Whether the value head has a second output, untrained here, for policies that build on IMPALA.",
    )
    use_lstm: bool = Field(False, description="Recurrent networks; not supported yet, so only false.")
    no_eval_mode: bool = Field(False, description="Whether evaluation samples actions instead of taking the likeliest.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="Precision of the convolutions; auto takes bf16 where the device has it natively."
    )

    @property
    def learns_while_collecting(self) -> bool:
        """Whether threads go on collecting during `train`."""
        return self.runner_name == "pipelined" and not self.deterministic

    @field_validator("use_lstm")
    @classmethod
    def _no_lstm(cls, value: bool) -> bool:
        if value:
            raise ValueError("recurrent networks are not supported yet; leave use_lstm out or set it to false")
        return value


def atari_preset() -> dict[str, Any]:
    """Return the CORA settings for Atari."""
    return {
        "epsilon": 0.01,
        "num_actors": 64,
        "batch_size": 32,
        "unroll_length": 20,
        "entropy_cost": 0.01,
        "learning_rate": 4e-4,
    }


def minatar_preset() -> dict[str, Any]:
    """Return settings for MinAtar's games; evaluations sample actions, as the likeliest ones get stuck there."""
    return {
        "no_eval_mode": True,
        "num_actors": 32,
        "batch_size": 32,
        "unroll_length": 20,
        "entropy_cost": 0.003,
        "learning_rate": 1e-2,
    }


def tutorial_preset() -> dict[str, Any]:
    """Return settings that learn both games of the experiment `tutorial`."""
    return {
        "num_actors": 16,
        "batch_size": 16,
        "unroll_length": 12,
        "entropy_cost": 0.03,
        "learning_rate": 1e-2,
        "discounting": 0.9,
    }


def cartpole_preset() -> dict[str, Any]:
    """Return settings that solve CartPole-v1 within 300,000 steps.

    The discount keeps values below 20: losses are sums over the batch, and the squared errors of larger values drown
    the policy's gradient.
    """
    return {
        "num_actors": 8,
        "batch_size": 8,
        "unroll_length": 20,
        "entropy_cost": 0.01,
        "discounting": 0.95,
        "optimizer": "adam",
        "learning_rate": 2e-3,
        "epsilon": 1e-5,
    }
