"""The hooks a plugin implements, and the two markers: `hookspec` (ours) and `hookimpl` (for plugins).

A plugin is a torch-free module named by an entry point in the group `crl_core.v1`:

    [project.entry-points."crl_core.v1"]
    my-algo = "my_algo.plugin"

docs/hook-reference.md is made from what stands here.
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
    """Register policies: algorithms that `crl run --policy` trains.

    The module of `config` is imported by `crl run --help` and `crl show policy`, so it must not import torch. Each
    preset is a function without arguments that returns settings by name; `crl run --preset` applies them.

    Example:
        from crl_core import PolicySpec, hookimpl


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

    The class has a field `type` that allows this name only, and has it as its default. Without a task type of its own
    a package may still register experiments, with tasks of the types `image` and `vector`.

    Example:
        from crl_core import TaskTypeSpec, hookimpl


        @hookimpl
        def crl_task_types():
            yield TaskTypeSpec(name="my-maze", summary="Mazes of any size.", task="my_tasks.task:MazeTask")
    """


@hookspec
def crl_experiments() -> Iterable[ExperimentSpec]:  # type: ignore[empty-body]  # a hookspec is only its signature
    """Register experiments: ordered lists of tasks that `crl run --experiment` trains on.

    `build` is a function without arguments that returns a `crl_core.Experiment`, a new one at each call. Its module
    is imported only when the experiment is used, so it may import what it likes.

    Example:
        from crl_core import ExperimentSpec, hookimpl


        @hookimpl
        def crl_experiments():
            yield ExperimentSpec(
                name="three_mazes", summary="Three mazes, twice.", build="my_tasks.experiments:three_mazes"
            )
    """


@hookspec
def crl_environment_runners() -> Iterable[RunnerSpec]:  # type: ignore[empty-body]  # a hookspec is only its signature
    """Register environment runners: ways to play a policy on a task, which `crl run --runner` chooses from.

    A policy's config lists the runners it can learn from in `supported_runners`; any other is refused.

    Example:
        from crl_core import RunnerSpec, hookimpl


        @hookimpl
        def crl_environment_runners():
            yield RunnerSpec(name="my-runner", summary="Collects in the cloud.", runner="my_runner.runner:MyRunner")
    """


@hookspec
def crl_commands() -> Iterable[CommandSpec]:  # type: ignore[empty-body]  # a hookspec is only its signature
    """Register extra subcommands of `crl`, each a click command.

    It is imported only when it is invoked; the help shows the summary given here. The names of the core's own commands
    are taken, and so is `help`. What the command returns becomes the exit code, if it is an int.

    Example:
        from crl_core import CommandSpec, hookimpl


        @hookimpl
        def crl_commands():
            yield CommandSpec(name="my-ranking", summary="Rank runs.", command="my_ranking.cli:ranking")
    """
