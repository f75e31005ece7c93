"""`TrainingLog`: means of what training reports, so that a row is logged now and then and not at every update."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from crl_core.runners.base import Episode

__all__ = ["TrainingLog"]

_ROWS_PER_RUN = 2000
_MAX_STEPS_PER_ROW = 10_000


class TrainingLog:
    """Averages losses between two rows, and keeps the last returns of the task that is trained.

    When a row is due depends on steps alone, so that the same seed logs the same rows. Everything here survives in a
    checkpoint as JSON.
    """

    def __init__(self, run_num_timesteps: int) -> None:
        """Log about 2,000 rows in a short run, and one every 10,000 steps in a long one."""
        self._steps_per_row = min(max(run_num_timesteps // _ROWS_PER_RUN, 1), _MAX_STEPS_PER_ROW)
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._returns: deque[float] = deque()
        self._logged_at = 0

    def start_task(self, rolling_return_count: int) -> None:
        """Forget the returns of the task before."""
        self._returns = deque(maxlen=rolling_return_count)

    def resume_task(self, rolling_return_count: int) -> None:
        """Keep the returns that a checkpoint brought back."""
        self._returns = deque(self._returns, maxlen=rolling_return_count)

    def add(self, metrics: Mapping[str, float], episodes: Sequence[Episode]) -> None:
        """Take in one update's figures and the episodes that ended."""
        for name, value in metrics.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)  # of NumPy or torch, perhaps
            self._counts[name] = self._counts.get(name, 0) + 1
        self._returns.extend(episode.episode_return for episode in episodes)

    def pending(self) -> bool:
        """Whether anything came in since the last row."""
        return bool(self._counts)

    def due(self, total_steps: int) -> bool:
        """Whether it is time for a row."""
        return total_steps - self._logged_at >= self._steps_per_row

    def take(self, total_steps: int, task: int) -> dict[str, float]:
        """Return the row: the means since the last one, and the mean of the last returns; begin the next row."""
        row = {name: total / self._counts[name] for name, total in self._sums.items()}
        if self._returns:
            row[f"train_reward/{task}"] = sum(self._returns) / len(self._returns)
        self._sums, self._counts, self._logged_at = {}, {}, total_steps
        return row

    def state_dict(self) -> dict[str, Any]:
        """Return the state, as plain data."""
        return {
            "sums": self._sums,
            "counts": self._counts,
            "returns": list(self._returns),
            "logged_at": self._logged_at,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a checkpoint's state."""
        self._sums = dict(state["sums"])
        self._counts = dict(state["counts"])
        self._returns = deque(state["returns"])
        self._logged_at = state["logged_at"]
