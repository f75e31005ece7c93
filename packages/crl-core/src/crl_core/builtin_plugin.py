"""What the core itself offers, registered through the same hooks as any plugin's."""

from __future__ import annotations

from collections.abc import Iterator

from crl_core.hookspecs import hookimpl
from crl_core.specs import ExperimentSpec, RunnerSpec, TaskTypeSpec


@hookimpl
def crl_task_types() -> Iterator[TaskTypeSpec]:
    """Register the kinds of task that need no package of their own."""
    yield TaskTypeSpec(
        name="image", summary="Any Gymnasium environment that shows images.", task="crl_core.task:ImageTask"
    )


@hookimpl
def crl_environment_runners() -> Iterator[RunnerSpec]:
    """Register the runners that suit any policy."""
    yield RunnerSpec(
        name="batch",
        summary="One batched forward pass over a vector environment.",
        runner="crl_core.runners.batch:BatchRunner",
    )


@hookimpl
def crl_experiments() -> Iterator[ExperimentSpec]:
    """Register the experiment to try things with."""
    yield ExperimentSpec(
        name="tutorial",
        summary="Two tiny image tasks that train in seconds.",
        build="crl_core.tutorial:tutorial",
    )
