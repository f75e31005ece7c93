"""`Steps`, a number of steps on the command line."""

from __future__ import annotations

import click

__all__ = ["Steps"]


class Steps(click.ParamType):  # type: ignore[type-arg]  # it takes none before click 8.5
    """A number of steps; `50e6` is one, too."""

    name = "steps"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return it as an int."""
        try:
            steps = float(value)
            whole = int(steps)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no number of steps", param, ctx)
        if steps != whole or whole < 1:
            self.fail(f"{value} should be a whole number of 1 or more", param, ctx)
        return whole
