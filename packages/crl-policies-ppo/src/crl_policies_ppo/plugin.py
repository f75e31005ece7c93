"""What crl-policies-ppo registers."""

from __future__ import annotations

from collections.abc import Iterable

from crl_core.hookspecs import hookimpl
from crl_core.specs import PolicySpec


@hookimpl
def crl_policies() -> Iterable[PolicySpec]:
    """Register PPO."""
    yield PolicySpec(
        name="ppo",
        summary="PPO: synchronous actor-critic with clipped updates (Schulman et al., 2017).",
        policy="crl_policies_ppo.policy:PpoPolicy",
        config="crl_policies_ppo.config:PpoConfig",
        presets={
            "atari": "crl_policies_ppo.config:atari_preset",
            "cartpole": "crl_policies_ppo.config:cartpole_preset",
            "minatar": "crl_policies_ppo.config:minatar_preset",
            "pendulum": "crl_policies_ppo.config:pendulum_preset",
            "tutorial": "crl_policies_ppo.config:tutorial_preset",
        },
    )
