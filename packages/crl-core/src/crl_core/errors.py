"""Every error a user can cause, in one tree.

A message says what is wrong, where, and what to do about it. The command line prints it on its own and exits with 2;
a traceback is for faults of the program, never for these.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CheckpointError",
    "ConfigError",
    "CrlError",
    "DeviceError",
    "EnvironmentFailure",
    "ExperimentError",
    "PluginError",
    "ReplayError",
    "RunDirectoryError",
    "TrainingError",
    "UnknownNameError",
    "did_you_mean",
]


class CrlError(Exception):
    """Base of every error whose message is written for the user."""


class ConfigError(CrlError):
    """Settings that do not validate: unknown names, wrong types, values out of range."""


class ExperimentError(CrlError):
    """An experiment or task that does not validate, or an experiment file that cannot be read."""


class PluginError(CrlError):
    """A plugin that is broken, or two plugins that offer the same name."""


class UnknownNameError(PluginError):
    """A policy, task type, experiment or runner that no installed plugin provides."""


class DeviceError(CrlError):
    """A torch device that this machine does not have."""


class RunDirectoryError(CrlError):
    """A run directory that cannot be created, is taken, or is not a run."""


class RunBusyError(RunDirectoryError):
    """A run that another process works on."""


class CheckpointError(CrlError):
    """A checkpoint that is missing, incomplete or unreadable."""


class ReplayError(CrlError):
    """A replay store that is missing, foreign, corrupt, or does not fit on its disk."""


class EnvironmentFailure(CrlError):  # noqa: N818  # the environment's failure, not ours
    """An environment that raised, died or hung while it was being stepped."""


class TrainingError(CrlError):
    """Training that cannot go on, for example because a loss is no longer finite."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the closest known name, whatever its case, or an empty string."""
    names = list(known)
    by_lower = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not close:
        close = [by_lower[each] for each in difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)]
    return f" Did you mean '{close[0]}'?" if close else ""
