"""Checks of how a policy trains: what a run needs to be repeated, resumed and carried from task to task."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from crl_core.checkpoint import first_non_finite
from crl_core.errors import UnknownNameError
from crl_core.plugins import registry
from crl_core.policy import Policy
from crl_core.rollout import TIME_MAJOR, Rollout
from crl_core.runners.making import make_runner
from crl_core.task import Task
from crl_core.testing.checks import CheckFailure, NotApplicable
from crl_core.testing.contracts import fail_if
from crl_core.testing.policy_subject import Metrics, PolicySubject, collect, train_on, train_updates, updates
from crl_core.testing.states import first_difference, freeze, global_seeds

__all__ = ["no_nan", "runners_supported", "same_seed_same_run", "save_load_continues", "task_switch"]


def same_seed_same_run(subject: PolicySubject) -> None:
    """The same seed gives the same weights and the same metrics, whatever the global generators hold.

    Everything random derives from the policy's seed: weights made in build(), where torch's global generator is seeded
    with it, and self.generator afterwards.
    """
    count = subject.warm_up(subject.task()) + 3
    first, second = (_seeded_run(subject, count, seed) for seed in (1, 2))
    where = first_difference(first, second)
    fail_if(
        where,
        f"two runs from one seed differ at {where}; sample with generator=self.generator, never from torch's, NumPy's "
        "or Python's global generator",
    )


def save_load_continues(subject: PolicySubject) -> None:
    """A policy that takes over a saved state goes on exactly as the one that was saved.

    It is saved with torch.save and read back with weights_only, after the first has played on and shut down, in the
    same workspace: files there may be newer than the state, as after a crash.
    """
    task = subject.task()
    saved = subject.make(task)
    saved_after = subject.warm_up(task) + 2
    collections = collect(saved, task, count=saved_after + 2)
    earlier, later = collections[:saved_after], collections[saved_after:]
    steps = sum(rollout.steps for rollouts in earlier for rollout in rollouts)
    _train(saved, task, earlier)
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    expected = _train(saved, task, later, steps=steps)
    saved.shutdown()

    resumed = subject.make(task, seed=1, workspace=saved.workspace)
    file.seek(0)
    try:
        state = torch.load(file, weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckFailure(
            "state_dict holds what torch.load(weights_only=True) refuses; keep to tensors, numbers, text, lists and "
            f"dicts. It says: {str(error).partition('. ')[0]}"
        ) from error
    resumed.load_state_dict(state)
    where = first_difference(expected, _train(resumed, task, later, steps=steps))
    fail_if(
        where,
        f"a policy that was saved and one that took over its state differ at {where} after the same two updates; "
        "state_dict has to return, and load_state_dict to take over, everything that train or compute_action changes: "
        "the optimizer, counters, running statistics, generators",
    )


def task_switch(subject: PolicySubject) -> None:
    """Training goes from task to task and back, each with its own number of actions, and weights are carried over."""
    few, many = subject.tasks()
    policy = subject.make(few, many)
    for index, task in ((0, few), (1, many), (0, few)):
        before = freeze(policy.acting_state())
        policy.on_task_start(task)
        fail_if(
            first_difference(before, freeze(policy.acting_state())),
            f"on_task_start('{task.id}') changed the weights; a policy takes what it has learned from task to task",
        )
        metrics = train_updates(policy, task, until=updates(2), index=index)
        _refuse_not_finite(f"training on task '{task.id}'", policy, metrics)
        policy.on_task_end(task)


def no_nan(subject: PolicySubject) -> None:
    """Extreme data leaves weights and metrics finite: huge and no rewards, constant observations, resets, one row.

    One NaN in the weights is the end of a run of days.
    """
    for _ in subject.kinds_of_action():
        _train_on_extremes(subject)


def runners_supported(subject: PolicySubject) -> None:
    """Every runner the policy says it supports collects with it, and what it collects can be trained on."""
    task = subject.task()
    missing = []
    for name in subject.config.supported_runners:
        try:
            registry().runner(name)
        except UnknownNameError:
            missing.append(name)
            continue
        policy = subject.make(task, config=subject.config.model_copy(update={"runner": name}))
        options = policy.runner_options(task, eval_mode=False)
        if "num_envs" in options:
            options["num_envs"] = min(2, options["num_envs"])  # a process for each takes seconds to start
        seed = np.random.SeedSequence(0)
        with make_runner(name, policy, task, seed=seed, eval_mode=False, options=options) as runner:
            metrics = train_updates(policy, task, until=updates(2), runner=runner)
        _refuse_not_finite(f"training with runner {name}", policy, metrics)
    if missing:
        raise NotApplicable(f"not installed here, so not tried: {', '.join(missing)}; the others work")


def _train_on_extremes(subject: PolicySubject) -> None:
    task = subject.task()
    (rollouts,) = collect(subject.make(task), task, count=1)
    count = subject.warm_up(task) + 2
    for what, change in {
        "rewards of a million": lambda rollout: replace(rollout, rewards=rollout.rewards + 1e6 * rollout.valid),
        "no rewards": lambda rollout: replace(rollout, rewards=torch.zeros_like(rollout.rewards)),
        "constant observations": lambda rollout: replace(
            rollout, observations=torch.full_like(rollout.observations, 1)
        ),
        "a column of nothing but resets": lambda rollout: _all_resets(rollout, slice(0, 1)),
        "rows that are all resets": lambda rollout: _all_resets(rollout, slice(None)),
        "rollouts of one row": _first_row,
    }.items():
        policy = subject.make(task)
        changed = [change(rollout) for rollout in rollouts]
        steps = 0
        for _ in range(count):
            _refuse_not_finite(f"training on {what}", policy, train_on(policy, task, [changed], steps=steps))
            steps += sum(rollout.steps for rollout in changed)


def _seeded_run(subject: PolicySubject, count: int, global_seed: int) -> dict[str, Any]:
    """Return what a new policy of always the same seed holds before and after some updates, and their metrics."""
    task = subject.task()
    with global_seeds(global_seed):
        policy = subject.make(task)
        made = freeze(policy.state_dict())
        metrics = train_updates(policy, task, until=updates(count))
    return {"made": made, "metrics": freeze(metrics), "trained": freeze(policy.state_dict())}


def _train(
    policy: Policy[Any], task: Task, collections: Sequence[Sequence[Rollout]], *, steps: int = 0
) -> dict[str, Any]:
    """Train on each collection, `steps` into the task; return the metrics, the state, and actions chosen with it."""
    with global_seeds(0):
        metrics = train_on(policy, task, collections, steps=steps)
        observations = collections[0][0].observations[0]
        data = policy.compute_action(observations, task, None, eval_mode=False)
    return {
        "metrics": freeze(metrics),
        "state_dict": freeze(policy.state_dict()),
        "compute_action": freeze(vars(data)),
    }


def _refuse_not_finite(what: str, policy: Policy[Any], metrics: list[Metrics]) -> None:
    where = first_non_finite(freeze({"metrics": metrics, "weights": policy.acting_state()}))
    fail_if(where, f"{what} left NaN or infinity in {where}; guard means over no rows, logarithms and divisions")


def _all_resets(rollout: Rollout, columns: slice) -> Rollout:
    """Return the rollout with some columns made of nothing but reset rows."""
    changed = {name: getattr(rollout, name).clone() for name in TIME_MAJOR}
    for name, value in changed.items():
        if name not in {"observations", "actions"}:
            value[:, columns] = 0
    return replace(rollout, **changed)


def _first_row(rollout: Rollout) -> Rollout:
    """Return the rollout cut off after its first row."""
    rows = {name: getattr(rollout, name)[: len(getattr(rollout, name)) - rollout.num_steps + 1] for name in TIME_MAJOR}
    return replace(rollout, **rows, extras={name: value[:1] for name, value in rollout.extras.items()})
