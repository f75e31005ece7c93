"""A plugin that registers something else."""

from crl_core import hookimpl


@hookimpl
def crl_policies() -> list[dict[str, str]]:
    return [{"name": "wrong"}]
