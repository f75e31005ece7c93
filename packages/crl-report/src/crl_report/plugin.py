"""What crl-report registers."""

from __future__ import annotations

from collections.abc import Iterable

from crl_core.hookspecs import hookimpl
from crl_core.specs import CommandSpec


@hookimpl
def crl_commands() -> Iterable[CommandSpec]:
    """Register `crl report`."""
    yield CommandSpec(
        name="report",
        summary="Draw curves and write tables of forgetting and transfer.",
        command="crl_report.command:report",
    )
