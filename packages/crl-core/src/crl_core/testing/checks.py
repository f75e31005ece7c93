"""`Check`, one demand on a plugin, and what comes of running it."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from crl_core.errors import CrlError, UnknownNameError, did_you_mean

__all__ = ["Check", "CheckFailure", "NotApplicable", "Outcome", "Result", "demand", "run_check", "select"]

_LONGEST_LINE = 200  # errors of torch may show whole tensors

Outcome = Literal["ok", "failed", "not applicable"]


class CheckFailure(Exception):  # noqa: N818  # what a check says, not a fault of its own
    """A demand that is not met: what was expected, what was seen, what to do."""


class NotApplicable(Exception):  # noqa: N818  # no error either
    """A demand that says nothing about this plugin, or that could not be seen; the message says why."""


@dataclass(frozen=True)
class Check:
    """One demand, ready to be put to one plugin.

    Attributes:
        name: what users call it by.
        demand: one line that says what is demanded.
        package: the top-level package of what is checked, for telling its frames in a traceback from others.
        run: checks; raises `CheckFailure`, `NotApplicable`, or whatever the plugin raised.
    """

    name: str
    demand: str
    package: str
    run: Callable[[], None]

    def __call__(self) -> None:
        """Run the check."""
        self.run()


@dataclass(frozen=True)
class Result:
    """What came of a check.

    Attributes:
        name: the check's name.
        outcome: how it ended.
        seconds: how long it took.
        message: why it failed or does not apply; empty when it is ok.
        traceback: the whole story of an exception that the plugin raised.
    """

    name: str
    outcome: Outcome
    seconds: float
    message: str = ""
    traceback: str = ""


def run_check(check: Check) -> Result:
    """Run a check; whatever the plugin raises is a failure, which names where in its own code that was."""
    started = time.perf_counter()
    outcome: Outcome = "ok"
    message = trace = ""
    try:
        check()
    except NotApplicable as reason:
        outcome, message = "not applicable", str(reason)
    except CheckFailure as failure:
        outcome, message = "failed", str(failure)
    except CrlError as error:
        outcome, message, trace = "failed", str(error), traceback.format_exc()
    except Exception as error:  # noqa: BLE001  # plugins raise what they like
        outcome, message, trace = "failed", _told(error, check.package), traceback.format_exc()
    return Result(check.name, outcome, time.perf_counter() - started, message, trace)


def demand(function: Callable[..., object]) -> str:
    """Return the first line of a check's docstring, which says what it demands."""
    return (function.__doc__ or "").strip().partition("\n")[0]


def select(checks: Sequence[Check], names: Sequence[str]) -> list[Check]:
    """Return the checks called `names`, all of them where there are none; `autoreset` means `autoreset[any]` too.

    Raises:
        UnknownNameError: there is no such check.
    """
    known = {each.name for each in checks} | {each.name.partition("[")[0] for each in checks}
    for name in names:
        if name not in known:
            raise UnknownNameError(f"there is no check '{name}'.{did_you_mean(name, known)} {_listed(checks)}")
    return [each for each in checks if not names or {each.name, each.name.partition("[")[0]} & set(names)]


def _listed(checks: Sequence[Check]) -> str:
    return f"The checks: {', '.join(dict.fromkeys(each.name.partition('[')[0] for each in checks))}."


def _told(error: Exception, package: str) -> str:
    """Name an exception and the last frame in the plugin's own code, or the very last one where there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if f"{os.sep}{package}{os.sep}" in frame.filename]
    where = (own or frames)[-1]
    first_line = str(error).partition("\n")[0][:_LONGEST_LINE]
    notes = "".join(f". {note}" for note in getattr(error, "__notes__", ()))
    return f"raised {type(error).__name__}: {first_line} ({where.filename}:{where.lineno}, in {where.name}){notes}"
