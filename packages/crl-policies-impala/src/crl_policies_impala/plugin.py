"""What crl-policies-impala registers."""

from __future__ import annotations

from collections.abc import Iterable

from crl_core.hookspecs import hookimpl
from crl_core.specs import PolicySpec, RunnerSpec


@hookimpl
def crl_policies() -> Iterable[PolicySpec]:
    """Register IMPALA."""
    yield PolicySpec(
        name="impala",
        summary="IMPALA: off-policy actor-critic with V-trace (Espeholt et al., 2018).",
        policy="crl_policies_impala.policy:ImpalaPolicy",
        config="crl_policies_impala.config:ImpalaConfig",
        presets={
            "atari": "crl_policies_impala.config:atari_preset",
            "cartpole": "crl_policies_impala.config:cartpole_preset",
            "minatar": "crl_policies_impala.config:minatar_preset",
            "tutorial": "crl_policies_impala.config:tutorial_preset",
        },
    )


@hookimpl
def crl_environment_runners() -> Iterable[RunnerSpec]:
    """Register the pipelined runner."""
    yield RunnerSpec(
        name="pipelined",
        summary="Threads collect unrolls with acting copies while the learner trains.",
        runner="crl_policies_impala.runner:PipelinedRunner",
    )
