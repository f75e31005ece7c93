"""The hooks a plugin implements, and the two markers: `hookspec` (ours) and `hookimpl` (for plugins).

A plugin is a torch-free module named by an entry point in the group `crl_core.v1`:

    [project.entry-points."crl_core.v1"]
    my-algo = "my_algo.plugin"
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from crl_core.specs import CommandSpec, ExperimentSpec, PolicySpec, RunnerSpec, TaskTypeSpec

__all__ = ["ENTRY_POINT_GROUP", "PROJECT", "hookimpl", "hookspec"]

PROJECT = "crl"
ENTRY_POINT_GROUP = "crl_core.v1"  # the API version is in the name: plugins for another version are never imported

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def crl_policies() -> Iterable[PolicySpec]:  # type: ignore[empty-body]  # a hookspec is only its signature
    """Register policies.

    Example:
        @hookimpl
        def crl_policies():
            yield PolicySpec(
                name="my-algo",
                summary="My algorithm (Me, 2026).",
                policy="my_algo.policy:MyPolicy",
                config="my_algo.config:MyConfig",
                presets={"atari": "my_algo.config:atari_preset"},
            )
    """


@hookspec
def crl_task_types() -> Iterable[TaskTypeSpec]:  # type: ignore[empty-body]  # a hookspec is only its signature
    """Register kinds of task; the name is the `type` tag of such tasks in experiment files.

    Example:
        @hookimpl
        def crl_task_types():
            yield TaskTypeSpec(name="my-maze", summary="Mazes of any size.", task="my_tasks.task:MazeTask")
    """


@hookspec
def crl_experiments() -> Iterable[ExperimentSpec]:  # type: ignore[empty-body]  # a hookspec is only its signature
    """Register experiments: ordered lists of tasks.

    Example:
        @hookimpl
        def crl_experiments():
            yield ExperimentSpec(
                name="three_mazes", summary="Three mazes, twice.", build="my_tasks.experiments:three_mazes"
            )
    """


@hookspec
def crl_environment_runners() -> Iterable[RunnerSpec]:  # type: ignore[empty-body]  # a hookspec is only its signature
    """Register environment runners.

    Example:
        @hookimpl
        def crl_environment_runners():
            yield RunnerSpec(name="my-runner", summary="Collects in the cloud.", runner="my_runner.runner:MyRunner")
    """


@hookspec
def crl_commands() -> Iterable[CommandSpec]:  # type: ignore[empty-body]  # a hookspec is only its signature
    """Register extra subcommands of `crl`.

    Example:
        @hookimpl
        def crl_commands():
            yield CommandSpec(name="report", summary="Draw curves and tables.", command="crl_report.cli:report")
    """
