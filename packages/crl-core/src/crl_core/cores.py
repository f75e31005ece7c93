"""How many cores this process may use, and how many of them torch takes by default. Imports no torch."""

from __future__ import annotations

import os

__all__ = ["set_default_threads", "usable_cores"]

_VARIABLE = "OMP_NUM_THREADS"


def usable_cores() -> int:
    """Return how many cores this process may use, which on a shared machine can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_default_threads() -> None:
    """Leave half of the cores to the threads that collect, unless OMP_NUM_THREADS says how many torch may have.

    Torch's own choice, all cores for every operation, makes threads wait for each other as soon as anything else runs.
    To be called before torch is imported: its libraries read the variable once.
    """
    os.environ.setdefault(_VARIABLE, str(max(1, usable_cores() // 2)))
