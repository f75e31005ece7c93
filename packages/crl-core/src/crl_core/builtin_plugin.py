"""What the core itself offers, registered through the same hooks as any plugin's."""

from __future__ import annotations

from collections.abc import Iterator

from crl_core.hookspecs import hookimpl
from crl_core.specs import ExperimentSpec, PolicySpec, RunnerSpec, TaskTypeSpec


@hookimpl
def crl_policies() -> Iterator[PolicySpec]:
    """Register the policy that others are compared with."""
    yield PolicySpec(
        name="random",
        summary="Acts at random and learns nothing: the baseline, and the smallest complete example.",
        policy="crl_core.random_policy:RandomPolicy",
        config="crl_core.random_policy_config:RandomConfig",
    )


@hookimpl
def crl_task_types() -> Iterator[TaskTypeSpec]:
    """Register the kinds of task that need no package of their own."""
    yield TaskTypeSpec(
        name="image", summary="Any Gymnasium environment that shows images.", task="crl_core.gymnasium_tasks:ImageTask"
    )
    yield TaskTypeSpec(
        name="vector",
        summary="Any Gymnasium environment whose observations are vectors.",
        task="crl_core.gymnasium_tasks:VectorTask",
    )


@hookimpl
def crl_environment_runners() -> Iterator[RunnerSpec]:
    """Register the runners that suit any policy."""
    yield RunnerSpec(
        name="batch",
        summary="One batched forward pass over a vector environment.",
        runner="crl_core.runners.batch:BatchRunner",
    )
    yield RunnerSpec(
        name="sync",
        summary="One environment, one step at a time.",
        runner="crl_core.runners.sync:SyncRunner",
    )
    yield RunnerSpec(
        name="full_parallel",
        summary="Processes that play one environment each, acting on their own.",
        runner="crl_core.runners.full_parallel:FullParallelRunner",
    )


@hookimpl
def crl_experiments() -> Iterator[ExperimentSpec]:
    """Register the experiment to try things with."""
    yield ExperimentSpec(
        name="tutorial",
        summary="Two tiny image tasks that train in seconds.",
        build="crl_core.tutorial:tutorial",
    )
