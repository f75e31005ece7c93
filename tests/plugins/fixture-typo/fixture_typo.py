"""A plugin with a misspelt hook."""

from collections.abc import Iterator

from crl_core import PolicySpec, hookimpl


@hookimpl
def crl_polices() -> Iterator[PolicySpec]:
    yield PolicySpec(name="lost", summary="Never found.", policy="lost:Policy", config="lost:Config")
