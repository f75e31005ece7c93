"""A plugin that offers a name another offers too, from an entry point of the same name."""

from collections.abc import Iterator

from crl_core import PolicySpec, hookimpl


@hookimpl
def crl_policies() -> Iterator[PolicySpec]:
    yield PolicySpec(
        name="good-one", summary="The rival.", policy="fixture_rival:Rival", config="crl_core.config:PolicyConfig"
    )
