"""Checks of how a policy acts: `compute_action`, acting copies, evaluation."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crl_core.evaluation import evaluate
from crl_core.policy import Policy, TimestepData
from crl_core.runners.base import CollectedData
from crl_core.runners.loop import EnvironmentLoop
from crl_core.task import Task
from crl_core.testing.contracts import check_timestep_data, fail_if
from crl_core.testing.policy_subject import PolicySubject, collect, train_on, train_updates
from crl_core.testing.states import first_difference, freeze, global_seeds, snapshot

__all__ = ["actions_in_space", "compute_action_pure", "evaluation_isolated", "inputs_not_mutated"]

_NUM_ENVS = 32


def actions_in_space(subject: PolicySubject) -> None:
    """Actions lie inside the space of the task that is played, in training and in evaluation, for any number of envs.

    A head that several tasks share is as large as the largest of them: a smaller task's missing actions are masked.
    Continuous actions are tried in a Box from 2 to 5, which what is made for -1 to 1 misses.
    """
    for _ in subject.kinds_of_action():
        tasks = subject.tasks(action_bounds=(2.0, 5.0))
        policy = subject.make(*tasks)
        for task, eval_mode, num_envs in itertools.product(tasks, (False, True), (1, _NUM_ENVS)):
            for data in _play(policy, task, num_envs=num_envs, eval_mode=eval_mode):
                check_timestep_data(data, policy, task, num_envs)


def inputs_not_mutated(subject: PolicySubject) -> None:
    """compute_action and train leave what they are handed as it is: runners and replay buffers still hold it."""
    task = subject.task()
    policy = subject.make(task)
    observations, last = _inputs(policy, task)
    before = freeze([observations, vars(last)])
    for eval_mode in (False, True):
        policy.compute_action(observations, task, last, eval_mode=eval_mode)
        where = first_difference(before, freeze([observations, vars(last)]))
        fail_if(
            where,
            f"compute_action changed its {'observations' if where.startswith('0') else 'last_timestep_data'}; work on "
            "a copy (torch operations that end in _ change their tensor)",
        )
    steps = 0
    for collected in collect(policy, task, count=subject.warm_up(task) + 2):
        rollouts = [replace(rollout, rewards=10 * rollout.rewards) for rollout in collected]  # that clipping changes
        before = freeze([vars(rollout) for rollout in rollouts])
        train_on(policy, task, [rollouts], steps=steps)
        steps += sum(rollout.steps for rollout in rollouts)
        where = first_difference(before, freeze([vars(rollout) for rollout in rollouts]))
        fail_if(where, f"train changed the rollouts it was given, at {where}; work on a copy")


def compute_action_pure(subject: PolicySubject) -> None:
    """compute_action depends on its arguments, the weights and self.generator alone, and changes only self.generator.

    Threads and processes act with copies, and an evaluation must leave no trace.
    """
    task = subject.task()
    policy = subject.make(task)
    observations, last = _inputs(policy, task)
    for eval_mode in (False, True):
        start = policy.generator.get_state()
        before = snapshot(policy)
        results = []
        for seed in (1, 2):
            policy.generator.set_state(start)
            with global_seeds(seed):
                results.append(policy.compute_action(observations, task, last, eval_mode=eval_mode))
        policy.generator.set_state(start)
        where = first_difference(before, snapshot(policy))
        fail_if(
            where,
            f"compute_action(eval_mode={eval_mode}) changed {where} of the policy; what must last from step to step "
            "belongs into the TimestepData, which comes back as last_timestep_data",
        )
        one, other = (freeze(vars(data)) for data in results)
        where = first_difference(one, other)
        fail_if(
            where,
            f"compute_action(eval_mode={eval_mode}) gave other {where} the second time, with the same arguments and "
            "the same self.generator; pass generator=self.generator wherever something is sampled",
        )


def evaluation_isolated(subject: PolicySubject) -> None:
    """An evaluation changes nothing of the policy, and training goes on as if there had been none.

    Otherwise how often one evaluates would change what is learned.
    """
    task = subject.task()
    undisturbed, evaluated = subject.twins(task)
    warm_up = subject.warm_up(task)
    _train_with_evaluation(undisturbed, task, warm_up, disturb=False)
    _train_with_evaluation(evaluated, task, warm_up, disturb=True)
    where = first_difference(freeze(undisturbed.state_dict()), freeze(evaluated.state_dict()))
    fail_if(
        where,
        f"training that was interrupted by an evaluation ended with another {where}; an acting copy has to share "
        "nothing that acting or learning changes",
    )


def _train_with_evaluation(policy: Policy[Any], task: Task, warm_up: int, *, disturb: bool) -> None:
    """Make three updates that learn something, with an evaluation after each of the first two."""
    made = itertools.count(1)

    def enough(steps: int, data: CollectedData) -> bool:
        learned = next(made) - warm_up
        if 0 < learned < 3:
            _evaluate_unnoticed(policy, {0: task} if disturb else {})
        return learned == 3

    with global_seeds(0):
        train_updates(policy, task, until=enough)


def _evaluate_unnoticed(policy: Policy[Any], tasks: dict[int, Task]) -> None:
    before = snapshot(policy)
    if tasks:
        with global_seeds(1):
            seeds = dict.fromkeys(tasks, np.random.SeedSequence(1))
            evaluate(policy, tasks, seeds=seeds, on_progress=lambda progress: None)
    where = first_difference(before, snapshot(policy))  # without an evaluation too: saving may change what is kept
    fail_if(
        where,
        f"an evaluation changed {where} of the policy; evaluations act with policy.acting_copy(), which has to have "
        "weights, a generator and containers of its own",
    )


def _play(policy: Policy[Any], task: Task, *, num_envs: int, eval_mode: bool, steps: int = 6) -> list[TimestepData]:
    """Return what the policy decided at each of a few steps."""
    loop = EnvironmentLoop(policy, task, seed=np.random.SeedSequence(0), num_envs=num_envs, eval_mode=eval_mode)
    try:
        return [loop.step(torch.from_numpy(loop.observations)).data for _ in range(steps)]
    finally:
        loop.close()


def _inputs(policy: Policy[Any], task: Task) -> tuple[Tensor, TimestepData]:
    """Return what compute_action is given in the middle of play."""
    loop = EnvironmentLoop(policy, task, seed=np.random.SeedSequence(0), num_envs=_NUM_ENVS, eval_mode=False)
    try:
        for _ in range(3):
            loop.step(torch.from_numpy(loop.observations))
        observations = torch.from_numpy(loop.observations).clone()
        last = copy.deepcopy(loop.last_data)
    finally:
        loop.close()
    assert last is not None
    return observations, last
