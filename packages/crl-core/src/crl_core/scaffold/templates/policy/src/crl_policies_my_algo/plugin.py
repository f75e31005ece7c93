"""What this package registers. No torch here: every `crl` command imports this file."""

from __future__ import annotations

from collections.abc import Iterable

from crl_core import PolicySpec, hookimpl


@hookimpl
def crl_policies() -> Iterable[PolicySpec]:
    """Register the policy."""
    yield PolicySpec(
        name="my-algo",
        summary="Advantage actor-critic, to be changed.",
        policy="crl_policies_my_algo.policy:MyAlgoPolicy",
        config="crl_policies_my_algo.config:MyAlgoConfig",
        presets={"tutorial": "crl_policies_my_algo.config:tutorial_preset"},
    )
