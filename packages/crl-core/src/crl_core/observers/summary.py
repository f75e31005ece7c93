"""`ReturnsSummary`: the first and the latest evaluation of every task, to be printed when a run ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from crl_core.experiment import Experiment
from crl_core.observers.base import Moment, Observer, Returns, mean_return

__all__ = ["ReturnsSummary"]


class ReturnsSummary(Observer):
    """Remembers evaluations."""

    def __init__(self, experiment: Experiment) -> None:
        """Remember those of a run of `experiment`."""
        self._experiment = experiment
        self._evaluations: list[tuple[int, Mapping[int, float]]] = []

    def read(self, metrics: Path) -> None:
        """Remember the evaluations that metrics.jsonl has of a run that goes on."""
        by_step: dict[int, dict[int, float]] = {}
        for row in map(json.loads, metrics.read_text(encoding="utf-8").splitlines()):
            name, _, index = row["name"].partition("/")
            if name == "eval_reward":
                by_step.setdefault(row["step"], {})[int(index)] = row["value"]
        for step, means in by_step.items():
            self._remember(step, means)

    def evaluated(self, at: Moment, returns: Returns) -> None:
        """Remember the first and the latest."""
        self._remember(at.step, {index: mean_return(episodes) for index, episodes in returns.items()})

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

    def _remember(self, step: int, means: Mapping[int, float]) -> None:
        self._evaluations = [*self._evaluations[:1], (step, means)]
