"""What this package registers. No gymnasium here: every `crl` command imports this file."""

from __future__ import annotations

from collections.abc import Iterable

from crl_core import ExperimentSpec, hookimpl


@hookimpl
def crl_experiments() -> Iterable[ExperimentSpec]:
    """Register the experiment."""
    yield ExperimentSpec(
        name="my-maze",
        summary="A player on a small grid looks for the green square, then for the red one.",
        build="crl_tasks_my_maze.experiments:two_goals",
    )
