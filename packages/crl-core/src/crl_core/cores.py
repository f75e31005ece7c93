"""How many cores this process may use, and how many of them torch takes. Imports no torch."""

from __future__ import annotations

import os

__all__ = ["environment_threads", "set_default_threads", "torch_threads", "usable_cores"]

_VARIABLE = "OMP_NUM_THREADS"
_SMALL_OBSERVATION = 2**10  # numbers: MinAtar's 10 x 10 x 10 and most vectors; a screen of 36 x 36 has more
_DEFAULTS: dict[str, str] = {}  # what this process put into its environment by itself


def usable_cores() -> int:
    """Return how many cores this process may use, which on a shared machine can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_default_threads() -> None:
    """Let torch, here and in processes begun from here, start with half of the cores, unless OMP_NUM_THREADS is set.

    Torch's own choice, all cores for every operation, makes threads wait for each other as soon as anything else runs.
    And they wait asleep, unless OMP_WAIT_POLICY says otherwise: threads that wait by spinning keep the cores that those
    they wait for need, and a forward pass took ten times as long beside another program. To be called before torch is
    imported: its libraries read the variables once.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if _VARIABLE not in os.environ:
        os.environ[_VARIABLE] = _DEFAULTS[_VARIABLE] = str(max(1, usable_cores() // 2))


def environment_threads(*, learns_while_collecting: bool) -> int:
    """Return how many threads are best for stepping environments in training.

    All cores, or half of them where a CPU learns at the same time: more of them kept the learner off its core, which
    cost 6 percent.
    """
    return max(1, usable_cores() // 2) if learns_while_collecting else usable_cores()


def torch_threads(*, learns_while_collecting: bool, observation_values: float) -> int:
    """Return how many threads are best for torch's operations in training.

    What OMP_NUM_THREADS says where the user set it. Else one for small observations, whose networks take less time to
    compute than threads need to wait for each other: with two, PPO was 1.5 times slower on MinAtar and 2.4 times on
    CartPole. Else all cores, or half of them where environments step at the same time.

    Args:
        learns_while_collecting: whether environments step at the same time.
        observation_values: how many numbers one observation has; infinity where that is not known.
    """
    wanted = os.environ.get(_VARIABLE, "")
    if wanted.isdecimal() and int(wanted) > 0 and wanted != _DEFAULTS.get(_VARIABLE):
        return int(wanted)
    if observation_values <= _SMALL_OBSERVATION:
        return 1
    return max(1, usable_cores() // 2) if learns_while_collecting else usable_cores()
