"""What it registers."""

from collections.abc import Iterator

from crl_core import CommandSpec, ExperimentSpec, PolicySpec, hookimpl


@hookimpl
def crl_policies() -> Iterator[PolicySpec]:
    yield PolicySpec(
        name="good_one",
        summary="Does everything right.",
        policy="fixture_good.policy:GoodPolicy",
        config="fixture_good.config:GoodConfig",
        presets={"tiny": "fixture_good.config:tiny"},
    )


@hookimpl
def crl_experiments() -> Iterator[ExperimentSpec]:
    yield ExperimentSpec(name="good_tasks", summary="Good tasks.", build="fixture_good.experiments:good_tasks")


@hookimpl
def crl_commands() -> Iterator[CommandSpec]:
    yield CommandSpec(name="greet", summary="Say hello.", command="fixture_good.commands:greet")
