"""Checks of what a policy learns from: the right reward for each action, nothing from resets, ends told apart."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crl_core.evaluation import evaluate
from crl_core.policy import Policy
from crl_core.rollout import Rollout
from crl_core.runners.base import CollectedData
from crl_core.task import Task
from crl_core.testing.checks import NotApplicable
from crl_core.testing.contracts import fail_if
from crl_core.testing.policy_subject import PolicySubject, collect, train_on, train_updates
from crl_core.testing.states import first_difference, freeze, global_seeds
from crl_core.tutorial import tutorial

__all__ = ["alignment", "learns_tutorial", "reset_rows_ignored", "truncation_is_not_termination"]

_UPDATES = 4  # that change weights
_CUES = 20_000  # steps in which to learn to answer them
_WINDOW = 500  # steps whose share of right answers is judged
_GOOD_RETURN = 0.5  # of the tutorial, where 1 is perfect and random play gets about -0.6
_STEPS_PER_EVALUATION = 3000


def alignment(subject: PolicySubject) -> None:
    """Each reward is put down to the observation and the action of its own row.

    Checked by learning to answer cues, each an episode of one step: the rows before and after it are resets, and its
    last observation shows another cue. Who pairs a reward, an action or an observation with the row before or after
    its own learns nothing.
    """
    for _ in subject.kinds_of_action():
        _learn_to_answer(subject)


def reset_rows_ignored(subject: PolicySubject) -> None:
    """Nothing is learned from rows that are a reset, nor from what follows the end of an episode.

    At a row that is not valid the action was ignored. Masking the loss is not enough: a recursion over time, such as
    GAE's or V-trace's, has to be cut there too.
    """
    task = subject.task(truncation=0.5)
    policy, other_resets, other_ends = subject.twins(task, count=3)
    collections = collect(subject.make(task, seed=1), task, count=subject.warm_up(task) + _UPDATES)
    fail_if(
        all(rollout.valid.all() for rollouts in collections for rollout in rollouts),
        "the runner handed over no reset row, although episodes ended; choose a runner that keeps them",
    )
    expected = _trained(policy, task, collections)
    where = first_difference(expected, _trained(other_resets, task, collections, _with_other_resets))
    fail_if(
        where,
        f"{where} depends on the action and the reward of rows that are resets; use only rows where rollout.valid, and "
        "cut every recursion over time where it is false",
    )
    where = first_difference(expected, _trained(other_ends, task, collections, _after_terminations))
    fail_if(
        where,
        f"{where} depends on what was shown after episodes had terminated, or on the extras of that row; nothing comes "
        "after such an end, so the value there counts for nothing (discount 0), and the row is not learned from",
    )


def truncation_is_not_termination(subject: PolicySubject) -> None:
    """An episode that is cut off is bootstrapped from its last observation; one that terminated is not.

    Who takes a time limit for an end teaches its value function that time is up, which no observation tells.
    """
    task = subject.task(truncation=1.0)
    truncated, terminated, other_ends = subject.twins(task, count=3)
    collections = collect(subject.make(task, seed=1), task, count=subject.warm_up(task) + _UPDATES)
    cut_off = _trained(truncated, task, collections)["weights"]
    ended = _trained(terminated, task, collections, _with_terminations)["weights"]
    fail_if(
        not first_difference(cut_off, ended),
        "training is the same whether episodes are truncated or terminated; where rollout.truncated, bootstrap from "
        "the value of observations[t + 1], and where rollout.terminated do not",
    )
    elsewhere = _trained(other_ends, task, collections, _after_truncations)["weights"]
    fail_if(
        not first_difference(cut_off, elsewhere),
        "training is the same whatever truncated episodes show at last; bootstrap from the value of "
        "observations[t + 1] there, which is not the next episode's first",
    )


def learns_tutorial(subject: PolicySubject) -> None:
    """The policy learns the first task of the experiment `tutorial`, with the runner its settings name.

    The preset `tutorial`, where the policy has one, says with which settings. It ends as soon as an evaluation is
    good.
    """
    task = tutorial().tasks[0]
    policy = subject.make(task, config=subject.source.config)
    returns: list[float] = []

    def good(steps: int, data: CollectedData) -> bool:
        if steps // _STEPS_PER_EVALUATION > len(returns) or steps >= task.num_timesteps:
            returns.append(_mean_return(policy, task, seed=len(returns)))
        return bool(returns) and returns[-1] >= _GOOD_RETURN

    train_updates(policy, task, until=good)
    fail_if(
        returns[-1] < _GOOD_RETURN,
        f"after {task.num_timesteps:,} steps of '{task.id}' the mean return is {returns[-1]:.2f}, where random play "
        f"gets about -0.6, perfect play 1.0, and {_GOOD_RETURN} was expected. If it needs other settings, ship them as "
        "the preset 'tutorial', or give them to the check",
    )


def _learn_to_answer(subject: PolicySubject) -> None:
    task = subject.task(episode_lengths=(1, 1), truncation=0.0, num_timesteps=_CUES)
    wanted = task.chance + (1 - task.chance) / 3
    answers: deque[float] = deque(maxlen=_WINDOW)

    def learned(steps: int, data: CollectedData) -> bool:
        answers.extend(episode.episode_return for episode in data.episodes)
        return len(answers) == _WINDOW and sum(answers) / _WINDOW > wanted

    policy = subject.make(task)
    untrained = freeze(policy.acting_state())
    train_updates(policy, task, until=learned)
    _refuse_unchanged(untrained, policy)
    share = sum(answers) / len(answers)
    fail_if(
        share <= wanted,
        f"after {task.num_timesteps:,} steps the policy answers {share:.0%} of cues, where chance is "
        f"{task.chance:.0%} and more than {wanted:.0%} was expected; is rewards[t] paired with observations[t], "
        "actions[t] and extras[...][t]? If it only learns slowly, give the check faster settings",
    )


def _mean_return(policy: Policy[Any], task: Task, *, seed: int) -> float:
    seeds = {0: np.random.SeedSequence([1, seed])}
    episodes = evaluate(policy, {0: task}, seeds=seeds, on_progress=lambda progress: None)[0]
    return sum(episode.episode_return for episode in episodes) / len(episodes)


def _trained(
    policy: Policy[Any],
    task: Task,
    collections: Sequence[Sequence[Rollout]],
    change: Callable[[Rollout], dict[str, Any]] = lambda rollout: {},
) -> dict[str, Any]:
    """Train on every collection, with some fields changed; return the metrics and the weights that acting takes.

    Not the whole state: a replay buffer in it may hold what is never learned from.

    Raises:
        NotApplicable: that changed no weight, so it tells nothing.
    """
    untrained = freeze(policy.acting_state())
    changed = [[copy.deepcopy(replace(rollout, **change(rollout))) for rollout in rollouts] for rollouts in collections]
    with global_seeds(0):
        metrics = train_on(policy, task, changed)
    _refuse_unchanged(untrained, policy)
    return {"weights": freeze(policy.acting_state()), "metrics": freeze(metrics)}


def _refuse_unchanged(untrained: Any, policy: Policy[Any]) -> None:
    if not first_difference(untrained, freeze(policy.acting_state())):
        raise NotApplicable("training changed no weight, so it does not show what is learned from")


def _with_other_resets(rollout: Rollout) -> dict[str, Any]:
    """Return other actions and rewards for the rows that are resets."""
    discrete = not rollout.actions.is_floating_point()
    others = (rollout.actions + 1) % rollout.num_actions.clamp(min=1) if discrete else -rollout.actions
    return {
        "actions": _replaced(rollout.actions, others, ~rollout.valid),
        "rewards": _replaced(rollout.rewards, torch.ones_like(rollout.rewards), ~rollout.valid),
    }


def _after_terminations(rollout: Rollout) -> dict[str, Any]:
    """Return what would have been had the episodes that terminated shown something else at last."""
    return _with_other_last_observations(rollout, rollout.terminated)


def _after_truncations(rollout: Rollout) -> dict[str, Any]:
    """Return the same of the episodes that were truncated, but for those at the rollout's end.

    Those are bootstrapped from in any case.
    """
    ends = rollout.truncated.clone()
    ends[-1] = False
    return _with_other_last_observations(rollout, ends)


def _with_other_last_observations(rollout: Rollout, ends: Tensor) -> dict[str, Any]:
    """Return, behind the rows `ends [T, N]`, observations with a cue that no step shows, and the extras of other rows.

    Extras too, as they are computed from the observation: a value that was stored when acting is as good as one that
    is computed anew.
    """
    observations = rollout.observations.clone()
    observations[1:][ends] = observations[1:][ends].flip(-1)
    behind = torch.zeros_like(ends)
    behind[1:] = ends[:-1]
    extras = {name: _replaced(value, value.roll(1, 0), behind) for name, value in rollout.extras.items()}
    return {"observations": observations, "extras": extras}


def _replaced(value: Tensor, other: Tensor, rows: Tensor) -> Tensor:
    """Return `value [T, N, ...]`, with `other` at `rows [T, N]`."""
    return torch.where(rows.reshape(*rows.shape, *[1] * (value.ndim - 2)), other, value)


def _with_terminations(rollout: Rollout) -> dict[str, Any]:
    """Return the ends of a rollout whose truncated episodes terminated instead."""
    return {"terminated": rollout.truncated, "truncated": torch.zeros_like(rollout.truncated)}
