"""What crl-policies-clear registers."""

from __future__ import annotations

from collections.abc import Iterable

from crl_core.hookspecs import hookimpl
from crl_core.specs import PolicySpec


@hookimpl
def crl_policies() -> Iterable[PolicySpec]:
    """Register CLEAR."""
    yield PolicySpec(
        name="clear",
        summary="CLEAR: IMPALA with a replay buffer and behavioural cloning (Rolnick et al., 2019).",
        policy="crl_policies_clear.policy:ClearPolicy",
        config="crl_policies_clear.config:ClearConfig",
        presets={
            "atari": "crl_policies_clear.config:atari_preset",
            "minatar": "crl_policies_clear.config:minatar_preset",
            "tutorial": "crl_policies_impala.config:tutorial_preset",
        },
    )
