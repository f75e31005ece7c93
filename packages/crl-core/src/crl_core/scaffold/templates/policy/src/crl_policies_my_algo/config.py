"""The settings, each an option of `crl run`. No torch here: its `--help` imports this file."""

from __future__ import annotations

from typing import Any

from crl_core import PolicyConfig
from pydantic import Field


class MyAlgoConfig(PolicyConfig):
    """Settings of my-algo; the defaults are usual ones for Atari."""

    num_envs: int = Field(16, ge=1, description="Environments to collect from.")
    num_steps: int = Field(5, ge=1, description="Steps each environment plays before an update.")
    gamma: float = Field(0.99, ge=0, le=1, description="Discount factor.")
    entropy_coef: float = Field(0.01, ge=0, description="Weight of the entropy bonus.")
    value_loss_coef: float = Field(0.5, ge=0, description="Weight of the value loss.")
    learning_rate: float = Field(7e-4, ge=0, description="Adam: learning rate.")
    max_grad_norm: float = Field(0.5, gt=0, description="Largest norm of the gradient.")
    clip_reward: bool = Field(True, description="Whether rewards are clipped to [-1, 1] for learning.")


def tutorial_preset() -> dict[str, Any]:
    """Return settings that learn the experiment `tutorial` in seconds."""
    return {"gamma": 0.9, "entropy_coef": 0.05, "learning_rate": 1e-2}
