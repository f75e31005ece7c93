"""`ProgressObserver`: where a run stands, live: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from crl_core.evaluation import EvaluationProgress
from crl_core.experiment import Experiment
from crl_core.observers.base import Moment, Observer, Returns, mean_return
from crl_core.policy import TrainingProgress
from crl_core.runners.base import Episode
from crl_core.schedule import Visit

__all__ = ["ProgressObserver"]

_log = logging.getLogger(__name__)

_LINE_SECONDS = 5.0
_SPEED_WINDOW_SECONDS = 30.0


class ProgressObserver(Observer):
    """Shows cycle and task, steps, speed, time left and the latest returns."""

    def __init__(self, console: Console, experiment: Experiment) -> None:
        """Show a run of `experiment` on `console`."""
        self._console = console
        self._experiment = experiment
        self._num_evaluated = sum(task.continual_eval for task in experiment.tasks)
        self._latest_return: float | None = None
        self._speed = _Speed()
        self._bars = _Bars(console) if console.is_terminal else None
        self._last_line = float("-inf")

    def task_started(self, visit: Visit, at: Moment) -> None:
        """Start a new bar."""
        self._latest_return = None
        self._speed = _Speed()
        self._last_line = float("-inf")

    def collected(self, progress: TrainingProgress, episodes: Sequence[Episode]) -> None:
        """Move the training bar."""
        if episodes:
            self._latest_return = episodes[-1].episode_return
        self._speed.update(progress.total_steps)
        self._show(progress.task_steps, progress.task_num_timesteps, self._training_line(progress))

    def evaluation_progress(self, progress: EvaluationProgress) -> None:
        """Move the evaluation bar."""
        tasks = f"{self._num_evaluated} task{'s' if self._num_evaluated > 1 else ''}"
        episodes = f"{progress.episodes}/{progress.num_episodes} episodes"
        line = f"evaluating {tasks}: {episodes}, {progress.steps:,} steps"
        self._show(progress.episodes, progress.num_episodes, line)

    def evaluated(self, at: Moment, returns: Returns) -> None:
        """Print the returns of every task."""
        self._speed.pause()
        self._last_line = float("-inf")
        means = "  ".join(
            f"{self._experiment.tasks[index].id} {mean_return(episodes):.1f}" for index, episodes in returns.items()
        )
        _log.info("step %s: evaluation returns: %s", f"{at.step:,}", means)

    def close(self) -> None:
        """Take the bar away."""
        if self._bars is not None:
            self._bars.stop()

    def _training_line(self, progress: TrainingProgress) -> str:
        tasks = self._experiment.tasks
        parts = [
            f"cycle {progress.cycle + 1}/{self._experiment.cycle_count}",
            f"task {progress.task + 1}/{len(tasks)} {tasks[progress.task].id}",
            f"{progress.task_steps:,}/{progress.task_num_timesteps:,} steps",
        ]
        speed = self._speed.steps_per_second
        if speed:
            left = max(0, progress.run_num_timesteps - progress.total_steps) / speed
            parts += [f"{speed:,.0f} steps/s", f"ETA {timedelta(seconds=round(left))}"]
        if self._latest_return is not None:
            parts.append(f"last return {self._latest_return:g}")
        return "  ".join(parts)

    def _show(self, done: int, total: int, line: str) -> None:
        if self._bars is not None:
            self._bars.update(done, total, line)
        elif (now := time.monotonic()) - self._last_line >= _LINE_SECONDS:
            self._last_line = now
            self._console.print(line, highlight=False, soft_wrap=True)


class _Speed:
    """Steps a second over the last half minute, evaluations left out."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []

    def update(self, total_steps: int) -> None:
        now = time.monotonic()
        self._marks = [mark for mark in self._marks if now - mark[0] <= _SPEED_WINDOW_SECONDS]
        self._marks.append((now, total_steps))

    def pause(self) -> None:
        """Forget the marks: the time until the next one was not spent training."""
        self._marks = []

    @property
    def steps_per_second(self) -> float | None:
        if len(self._marks) < 2:
            return None
        (start, first), (end, last) = self._marks[0], self._marks[-1]
        return (last - first) / (end - start) if end > start else None


class _Bars:
    """One live bar that shows whatever goes on now."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.description}", markup=False),
            console=console,
        )
        self._progress.start()
        self._bar: TaskID = self._progress.add_task("starting", total=None)

    def update(self, done: int, total: int, line: str) -> None:
        self._progress.update(self._bar, completed=done, total=total, description=line)

    def stop(self) -> None:
        self._progress.stop()
