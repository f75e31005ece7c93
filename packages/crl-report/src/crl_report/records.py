"""What a report knows of a run: who trained on what, when, and what its evaluations returned.

Letters in shapes: K evaluations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Curve", "Floats", "RunRecord", "TaskRecord", "Visit"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """A figure over the steps of the whole run.

    Attributes:
        steps: float64 `[K]`, ascending.
        values: float64 `[K]`.
    """

    steps: Floats
    values: Floats


@dataclass(frozen=True)
class TaskRecord:
    """A task of the experiment.

    Attributes:
        id: its name.
        trained: whether it is trained on; else it is only evaluated.
        num_timesteps: its budget of steps at each visit.
        game: the Atari game that it is, as ALE names it; None for any other task.
        episodes: how many each of its evaluations has; None where that is not known.
        definition: everything that makes it the task it is, as JSON; empty where that is not known.
    """

    id: str
    trained: bool
    num_timesteps: int
    game: str | None = None
    episodes: int | None = None
    definition: str = ""


@dataclass(frozen=True)
class Visit:
    """Training on one task in one cycle.

    Attributes:
        cycle: the walk through the tasks.
        task: the task's index.
        start: the step it began at.
        end: the step it ended at; None while it goes on, or where it was broken off.
    """

    cycle: int
    task: int
    start: int
    end: int | None


@dataclass(frozen=True)
class RunRecord:
    """A run, finished or not.

    Attributes:
        source: where it was read from.
        policy: the policy's name.
        settings: the policy's settings.
        seed: the run's seed.
        experiment: the experiment's name.
        cycle_count: walks through the tasks.
        testing_freq: steps between two evaluations; None where that is not known, or only tasks' ends are evaluated.
        tasks: all tasks, in order.
        visits: those that were begun, in order.
        evaluations: the mean return of each evaluation, by the task's index.
        finished: whether it came to its end.
        distribution: the package that the policy came from; empty where that is not known.
        version: that package's.
        notes: what a reader should know of its files.
        plasticity: what was measured of its network, by name.
    """

    source: str
    policy: str
    settings: Mapping[str, Any]
    seed: int
    experiment: str
    cycle_count: int
    testing_freq: int | None
    tasks: tuple[TaskRecord, ...]
    visits: tuple[Visit, ...]
    evaluations: Mapping[int, Curve]
    finished: bool
    distribution: str = ""
    version: str = ""
    notes: tuple[str, ...] = ()
    plasticity: Mapping[str, Curve] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """The step at which its last training ended or, where it goes on, began."""
        return max((visit.start if visit.end is None else visit.end for visit in self.visits), default=0)
