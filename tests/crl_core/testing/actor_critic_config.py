"""Settings of the actor-critic; no torch here."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from crl_core.config import PolicyConfig


class ActorCriticConfig(PolicyConfig):
    """Settings with which it learns tiny tasks in seconds."""

    num_envs: int = Field(16, ge=1, description="Environments to collect from.")
    num_steps: int = Field(10, ge=1, description="Steps of each before an update.")
    learning_rate: float = Field(1e-2, gt=0, description="Adam: learning rate.")
    gamma: float = Field(0.9, ge=0, le=1, description="Discount factor.")


def tutorial_preset() -> dict[str, Any]:
    return {"num_steps": 7}


def long_preset() -> dict[str, Any]:
    return {"num_steps": 100, "gamma": 0.8}
