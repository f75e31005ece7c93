"""A plugin whose hook raises half way."""

from collections.abc import Iterator

from crl_core import ExperimentSpec, PolicySpec, hookimpl


@hookimpl
def crl_experiments() -> Iterator[ExperimentSpec]:
    yield ExperimentSpec(name="half", summary="Half of it.", build="half:build")
    raise RuntimeError("half way")


@hookimpl
def crl_policies() -> Iterator[PolicySpec]:
    yield PolicySpec(name="whole", summary="The other half.", policy="whole:Policy", config="whole:Config")
