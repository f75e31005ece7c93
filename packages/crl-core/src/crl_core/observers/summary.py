"""`ReturnsSummary`: the first and the latest evaluation of every task, to be printed when a run ends."""

from __future__ import annotations

from rich.table import Table

from crl_core.experiment import Experiment
from crl_core.observers.base import Moment, Observer, Returns, mean_return

__all__ = ["ReturnsSummary"]


class ReturnsSummary(Observer):
    """Remembers evaluations."""

    def __init__(self, experiment: Experiment) -> None:
        """Remember those of a run of `experiment`."""
        self._experiment = experiment
        self._evaluations: list[tuple[int, dict[int, float]]] = []

    def evaluated(self, at: Moment, returns: Returns) -> None:
        """Remember the first and the latest."""
        means = {index: mean_return(episodes) for index, episodes in returns.items()}
        self._evaluations = [*self._evaluations[:1], (at.step, means)]

    def table(self) -> Table:
        """Return the mean return of every evaluated task, with the step of each evaluation."""
        table = Table(title="Mean evaluation returns")
        table.add_column("task")
        for step, _ in self._evaluations:
            table.add_column(f"step {step:,}", justify="right")
        for index, task in enumerate(self._experiment.tasks):
            if task.continual_eval:
                table.add_row(task.id, *(f"{means[index]:.2f}" for _, means in self._evaluations))
        return table
