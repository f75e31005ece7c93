"""The random policy's settings. No torch here: `crl run --policy random --help` imports this file."""

from __future__ import annotations

from pydantic import Field

from crl_core.config import PolicyConfig

__all__ = ["RandomConfig"]


class RandomConfig(PolicyConfig):
    """Settings of the random policy."""

    num_envs: int = Field(8, ge=1, description="Environments to collect from.")
    num_steps: int = Field(20, ge=1, description="Steps each environment plays at a time.")
