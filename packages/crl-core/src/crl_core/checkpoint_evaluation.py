"""Evaluating a checkpoint of a run: its weights, put into a policy that only plays."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crl_core.checkpoint import load_checkpoint, resumable_checkpoints
from crl_core.errors import CheckpointError, UnknownNameError, did_you_mean
from crl_core.evaluation import EvaluationProgress, evaluate
from crl_core.film import Film
from crl_core.plan import RunPlan
from crl_core.policy import Policy
from crl_core.runners.base import Episode
from crl_core.seeding import Purpose, seed_sequence
from crl_core.task import Task

__all__ = ["choose_checkpoint", "choose_tasks", "evaluate_tasks", "film_task", "loaded_policy", "results"]


def choose_checkpoint(directory: Path, name: str | None) -> Path:
    """Return a run's checkpoint by its name, the total steps or `cycle<c>_task<t>`; None means the newest.

    Raises:
        UnknownNameError: there is no such checkpoint.
        CheckpointError: the run has none at all.
    """
    folder = directory / "checkpoints"
    newest = resumable_checkpoints(folder)
    if name is None:
        if not newest:
            raise CheckpointError(f"{directory} has no checkpoint yet; it is saved at the first evaluation")
        return newest[0]
    known = sorted(path.name for path in folder.glob("[!.]*") if path.is_dir()) if folder.is_dir() else []
    if name not in known:
        raise UnknownNameError(
            f"--checkpoint: {directory} has no checkpoint '{name}'.{did_you_mean(name, known)} "
            f"It has: {', '.join(known) or 'none'}."
        )
    return folder / name


def choose_tasks(plan: RunPlan, names: Sequence[str], *, episodes: int | None) -> dict[int, Task]:
    """Return tasks by their index, with so many episodes; without names, all that the run evaluates.

    Raises:
        UnknownNameError: the experiment has no such task.
    """
    tasks = plan.experiment.tasks
    known = [task.id for task in tasks]
    for name in names:
        if name not in known:
            raise UnknownNameError(
                f"--task: the experiment has no task '{name}'.{did_you_mean(name, known)} It has: {', '.join(known)}."
            )
    changes = {"continual_eval": True} | ({} if episodes is None else {"continual_eval_num_returns": episodes})
    return {
        index: task.model_copy(update=changes)
        for index, task in enumerate(tasks)
        if (task.id in names if names else task.continual_eval)
    }


@contextmanager
def loaded_policy(plan: RunPlan, checkpoint: Path) -> Iterator[Policy[Any]]:
    """Make the run's policy with a checkpoint's weights. Nothing is written, and nothing but the weights is loaded.

    Raises:
        CheckpointError: it is damaged, or the policy does not take it.
    """
    state = load_checkpoint(checkpoint).policy
    policy = dataclasses.replace(plan, run_id=f"{plan.run_id}-evaluated").make_policy()
    try:
        try:
            policy.load_acting_state(state["network"])
        except Exception as error:
            raise CheckpointError(
                f"{type(policy).__name__} cannot act with {checkpoint}: {type(error).__name__}: {error}. "
                "Use the versions that wrote it, which run.json names."
            ) from error
        yield policy
    finally:
        policy.shutdown()


def evaluate_tasks(
    policy: Policy[Any], tasks: dict[int, Task], *, seed: int, on_progress: Callable[[EvaluationProgress], None]
) -> dict[int, list[Episode]]:
    """Return the episodes of each task; the same seed gives the same episodes."""
    seeds = {index: seed_sequence(seed, Purpose.AFTERWARDS, task=index) for index in tasks}
    return evaluate(policy, tasks, seeds=seeds, on_progress=on_progress)


def film_task(policy: Policy[Any], index: int, task: Task, *, seed: int) -> Film:
    """Return one more episode of a task, to be filmed."""
    return Film(policy, task, seed=seed_sequence(seed, Purpose.AFTERWARDS, task=index, segment=1))


def results(tasks: dict[int, Task], episodes: dict[int, list[Episode]]) -> dict[str, Any]:
    """Return the returns of each task as plain data, with their mean and its standard error."""
    figures: dict[str, Any] = {}
    for index, played in episodes.items():
        returns = [episode.episode_return for episode in played]
        error = statistics.stdev(returns) / len(returns) ** 0.5 if len(returns) > 1 else None
        figures[tasks[index].id] = {
            "mean_return": statistics.mean(returns),
            "standard_error": error,
            "returns": returns,
            "lengths": [episode.length for episode in played],
        }
    return figures
