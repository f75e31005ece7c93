"""PPO's settings. No torch here: `crl run --policy ppo --help` imports this file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from crl_core.config import PolicyConfig

__all__ = [
    "PpoConfig",
    "atari_preset",
    "cartpole_preset",
    "minatar_preset",
    "pendulum_preset",
    "tutorial_preset",
]


class PpoConfig(PolicyConfig):
    """Settings of PPO; names and defaults are those of the CORA baselines (Powers et al., 2022)."""

    ignored_settings: ClassVar[dict[str, str]] = {
        "use_proper_time_limits": "an episode that is cut off is never taken for one that ended",
        "cuda": "--device says where the network lives",
        "render_collection_freq": "--render-freq says how often an episode is filmed",
    }

    num_processes: int = Field(16, ge=1, description="Environments to collect from.")
    num_steps: int | None = Field(
        5, ge=1, description="Steps each environment plays before an update; none: until each has ended an episode."
    )
    ppo_epoch: int = Field(4, ge=1, description="Passes over the steps of an update.")
    num_mini_batch: int = Field(
        32, ge=1, description="Minibatches in a pass; at most as many as an update has steps, num_processes*num_steps."
    )
    clip_param: float = Field(
        0.2, gt=0, description="How far an update may move probability ratios away from 1, and values, before clipping."
    )
    clip_eps: float | None = Field(None, exclude=True, description="Another name for clip_param.")
    use_clipped_value_loss: bool = Field(
        True, description="Whether the value loss is clipped; better not where returns are much larger than 1."
    )
    gamma: float = Field(0.99, ge=0, le=1, description="Discount factor.")
    use_gae: bool = Field(False, description="Generalized advantage estimation; otherwise discounted n-step returns.")
    gae_lambda: float = Field(0.95, ge=0, le=1, description="GAE: 0 trusts the values alone, 1 the rewards alone.")
    entropy_coef: float = Field(0.01, ge=0, description="Weight of the entropy bonus.")
    value_loss_coef: float = Field(
        0.5, ge=0, description="Weight of the value loss, which has a factor 1/2 of its own."
    )
    learning_rate: float = Field(7e-4, ge=0, description="Adam: learning rate at the start of the run.")
    eps: float = Field(1e-5, gt=0, description="Adam: added to the denominator.")
    max_grad_norm: float = Field(0.5, gt=0, description="Largest norm of the gradient.")
    use_linear_lr_decay: bool = Field(False, description="Whether the learning rate falls linearly to 0.")
    decay_over_steps: int = Field(
        10_000_000, ge=1, description="Steps of the run after which a decaying learning rate is 0, and stays there."
    )
    clip_reward: bool = Field(True, description="Whether rewards are clipped to [-1, 1] for learning.")
    no_eval_mode: bool = Field(False, description="Whether evaluation samples actions instead of taking the likeliest.")
    recurrent_policy: bool = Field(False, description="Recurrent networks; not supported yet, so only false.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="Precision of the convolutions; auto takes bf16 where the device has it natively."
    )

    @model_validator(mode="before")
    @classmethod
    def _one_name_for_clipping(cls, settings: object) -> object:
        if not isinstance(settings, Mapping) or settings.get("clip_eps") is None:
            return settings
        if "clip_param" in settings:
            raise ValueError(
                "clip_eps is another name for clip_param, and both are set, by you or by a preset; use clip_param"
            )
        return {"clip_param" if name == "clip_eps" else name: value for name, value in settings.items()}

    @field_validator("recurrent_policy")
    @classmethod
    def _not_recurrent(cls, value: bool) -> bool:
        if value:
            raise ValueError("recurrent networks are not supported yet; leave recurrent_policy out or set it to false")
        return value

    @model_validator(mode="after")
    def _enough_steps(self) -> Self:
        if self.num_steps is None:
            return self
        steps = self.num_processes * self.num_steps
        if self.num_mini_batch > steps:
            raise ValueError(
                f"num_mini_batch is {self.num_mini_batch}, but an update has only num_processes*num_steps = {steps} "
                "steps to make minibatches of; lower num_mini_batch or raise one of the others"
            )
        return self


def atari_preset() -> dict[str, Any]:
    """Return the CORA settings for Atari."""
    return {
        "use_gae": True,
        "learning_rate": 2.5e-4,
        "clip_param": 0.1,
        "num_processes": 8,
        "num_steps": 128,
        "num_mini_batch": 4,
        "use_linear_lr_decay": True,
    }


def minatar_preset() -> dict[str, Any]:
    """Return settings for MinAtar's games; evaluations sample actions, as the likeliest ones get stuck there."""
    return {
        "no_eval_mode": True,
        "use_gae": True,
        "learning_rate": 1e-2,
        "entropy_coef": 0.01,
        "num_processes": 32,
        "num_steps": 32,
        "ppo_epoch": 3,
        "num_mini_batch": 4,
    }


def tutorial_preset() -> dict[str, Any]:
    """Return settings that learn both games of the experiment `tutorial`."""
    return {
        "use_gae": True,
        "learning_rate": 1.5e-3,
        "gamma": 0.9,
        "entropy_coef": 0.05,
        "num_processes": 16,
        "num_steps": 16,
        "num_mini_batch": 4,
    }


def cartpole_preset() -> dict[str, Any]:
    """Return settings that solve CartPole-v1 in 100,000 steps."""
    return {
        "use_gae": True,
        "learning_rate": 1e-3,
        "gamma": 0.98,
        "entropy_coef": 0.0,
        "use_clipped_value_loss": False,
        "num_processes": 8,
        "num_steps": 128,
        "ppo_epoch": 10,
        "num_mini_batch": 4,
        "use_linear_lr_decay": True,
        "decay_over_steps": 100_000,
    }


def pendulum_preset() -> dict[str, Any]:
    """Return settings that solve Pendulum-v1 in 300,000 steps."""
    return {
        "use_gae": True,
        "learning_rate": 1e-3,
        "gamma": 0.9,
        "entropy_coef": 0.0,
        "clip_reward": False,
        "use_clipped_value_loss": False,
        "num_processes": 4,
        "num_steps": 1024,
        "ppo_epoch": 10,
        "num_mini_batch": 32,
    }
