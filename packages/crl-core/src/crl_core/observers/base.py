"""`Observer`, what watches a run, and `Observers`, several of them told as one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crl_core.evaluation import EvaluationProgress
from crl_core.policy import TrainingProgress
from crl_core.runners.base import Episode
from crl_core.schedule import Visit

__all__ = ["Moment", "Observer", "Observers", "Returns", "mean_return"]

Returns = Mapping[int, Sequence[Episode]]  # by the task's index


def mean_return(episodes: Sequence[Episode]) -> float:
    """Return the mean of the episodes' returns."""
    return sum(episode.episode_return for episode in episodes) / len(episodes)


@dataclass(frozen=True)
class Moment:
    """When something happened: steps of the whole run, and the visit it happened in."""

    step: int
    cycle: int
    task: int


class Observer:
    """Watches a run. Every method does nothing until a subclass overrides it."""

    def task_started(self, visit: Visit, at: Moment) -> None:
        """Training on a task begins, or resumes."""

    def task_ended(self, visit: Visit, at: Moment) -> None:
        """Training on a task is over."""

    def collected(self, progress: TrainingProgress, episodes: Sequence[Episode]) -> None:
        """The policy has learned from one collection; called at every update, so it must cost nothing."""

    def metrics(self, at: Moment, values: Mapping[str, float]) -> None:
        """Figures that the same seed gives again: returns and losses."""

    def timings(self, at: Moment, values: Mapping[str, float]) -> None:
        """Figures that it does not: speeds, lags, memory."""

    def evaluation_progress(self, progress: EvaluationProgress) -> None:
        """An evaluation goes on; called several times a second."""

    def evaluated(self, at: Moment, returns: Returns) -> None:
        """An evaluation is over, with these episodes of each task."""

    def filmed(self, at: Moment, video: Path) -> None:
        """An episode was filmed into this GIF."""

    def flush(self) -> dict[str, int]:
        """Bring everything seen onto the disk; return the lengths in bytes of the logs that a resume cuts back."""
        return {}

    def close(self) -> None:
        """Let go of files. May be called more than once."""


class Observers(Observer):
    """Several observers, told in order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        """Tell these."""
        self._observers = tuple(observers)

    def task_started(self, visit: Visit, at: Moment) -> None:
        """Tell all."""
        for each in self._observers:
            each.task_started(visit, at)

    def task_ended(self, visit: Visit, at: Moment) -> None:
        """Tell all."""
        for each in self._observers:
            each.task_ended(visit, at)

    def collected(self, progress: TrainingProgress, episodes: Sequence[Episode]) -> None:
        """Tell all."""
        for each in self._observers:
            each.collected(progress, episodes)

    def metrics(self, at: Moment, values: Mapping[str, float]) -> None:
        """Tell all."""
        for each in self._observers:
            each.metrics(at, values)

    def timings(self, at: Moment, values: Mapping[str, float]) -> None:
        """Tell all."""
        for each in self._observers:
            each.timings(at, values)

    def evaluation_progress(self, progress: EvaluationProgress) -> None:
        """Tell all."""
        for each in self._observers:
            each.evaluation_progress(progress)

    def evaluated(self, at: Moment, returns: Returns) -> None:
        """Tell all."""
        for each in self._observers:
            each.evaluated(at, returns)

    def filmed(self, at: Moment, video: Path) -> None:
        """Tell all."""
        for each in self._observers:
            each.filmed(at, video)

    def flush(self) -> dict[str, int]:
        """Flush all, and return all their lengths."""
        return {name: length for each in self._observers for name, length in each.flush().items()}

    def close(self) -> None:
        """Close all, also where one of them raises."""
        with contextlib.ExitStack() as stack:
            for each in reversed(self._observers):
                stack.push(contextlib.closing(each))
