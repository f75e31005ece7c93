"""`runner_checks`: every check of an environment runner, on a task where every row tells where it comes from.

Letters in shapes: T steps, N columns.
"""

from __future__ import annotations

import functools
import multiprocessing
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from crl_core.plugins import registry
from crl_core.rollout import Rollout
from crl_core.runners.base import CollectedData, EnvironmentRunner
from crl_core.runners.making import make_runner
from crl_core.testing.checks import Check, demand
from crl_core.testing.contracts import check_rollout, fail_if
from crl_core.testing.fakes import FakePolicy
from crl_core.testing.policy_subject import progress
from crl_core.testing.trace_task import ACTION, EPISODE, STEP, STREAM, TraceTask, trace_reward

__all__ = ["runner_checks"]

_COLLECTIONS = 6
_OPTIONS = {"num_envs": 2, "num_steps": 8}
_STOP_SECONDS = 10.0


@dataclass(frozen=True)
class _Session:
    """What a runner did in six turns of collecting and training.

    Attributes:
        collected: what it handed over, in order.
        num_envs: how many environments it said it plays.
        left: the threads and processes that were there after it was closed, and not before.
    """

    collected: list[CollectedData]
    num_envs: int
    left: list[str]

    @property
    def rollouts(self) -> list[Rollout]:
        return [rollout for data in self.collected for rollout in data.rollouts]


class _RunnerSubject:
    """A runner under check. What takes it long to start is played once, for all checks."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name = name
        self.options = {**_OPTIONS, **options}
        self.task = TraceTask()

    def make(self, policy: FakePolicy, *, eval_mode: bool = False) -> EnvironmentRunner:
        """Return a new runner."""
        seed = np.random.SeedSequence(0)
        return make_runner(self.name, policy, self.task, seed=seed, eval_mode=eval_mode, options=self.options)

    @functools.cached_property
    def session(self) -> _Session:
        """What it did."""
        before = _running()
        policy = FakePolicy.for_task(self.task, **self.options)
        collected = []
        with self.make(policy) as runner:
            for turn in range(_COLLECTIONS):
                collected.append(runner.collect_data())
                policy.train(collected[-1].rollouts, progress=progress(turn, self.task.num_timesteps))
        return _Session(collected, runner.num_envs, _left_over(before))


def rollouts_valid(runner: _RunnerSubject) -> None:
    """Rollouts have the shapes and dtypes that `crl_core.Rollout` says, and carry over actions and rewards."""
    for rollout in runner.session.rollouts:
        check_rollout(rollout, observation_space=runner.task.observation_space, action_space=runner.task.action_space)
        names = set(rollout.task_id)
        fail_if(names != {runner.task.id}, f"rollout.task_id is {names}, where '{runner.task.id}' was played")


def rows_aligned(runner: _RunnerSubject) -> None:
    """Row t holds what the policy did in observations[t] and what came of it; observations[t + 1] is what it saw."""
    for rollout in runner.session.rollouts:
        now, then = rollout.observations[:-1], rollout.observations[1:]
        for name, wanted in (("seen", now), ("chosen", rollout.actions)):
            fail_if(
                (rollout.extras[name] != wanted).any(),
                f"extras['{name}'][t] is not of observations[t] and actions[t]; stack what compute_action returned "
                "for the very observation it was given",
            )
        valid = rollout.valid
        wanted = trace_reward(now[..., STEP], rollout.actions).to(torch.float32) * valid
        fail_if((rollout.rewards != wanted).any(), "rewards[t] is not what actions[t] got in observations[t]")
        moved = (then[..., STEP] == now[..., STEP] + 1) & (then[..., ACTION] == rollout.actions)
        fail_if((~moved & valid).any(), "observations[t + 1] is not what actions[t] led to from observations[t]")
        fail_if(
            (then[..., STREAM] != now[..., STREAM]).any(),
            "a column mixes environments; each column is one environment's",
        )


def ends_told(runner: _RunnerSubject) -> None:
    """Ends are terminated or truncated as the environment says; the row behind one is a reset, and not valid."""
    for rollout in runner.session.rollouts:
        now, then = rollout.observations[:-1], rollout.observations[1:]
        is_reset = then[..., STEP] == 0
        fail_if((rollout.valid == is_reset).any(), "valid is not false exactly where the environment was reset")
        length = 2 + (now[..., EPISODE] + now[..., STREAM]) % 4
        over = rollout.valid & (then[..., STEP] == length)
        even = now[..., EPISODE] % 2 == 0
        fail_if((rollout.terminated != (over & even)).any(), "terminated is not what the environment said")
        fail_if((rollout.truncated != (over & ~even)).any(), "truncated is not what the environment said")


def steps_and_episodes(runner: _RunnerSubject) -> None:
    """Valid rows are counted, each once, and every episode that ended is reported with its return and its length."""
    session = runner.session
    for data in session.collected:
        steps = sum(int(rollout.valid.sum()) for rollout in data.rollouts)
        fail_if(data.steps != steps, f"CollectedData.steps is {data.steps}, but {steps} rows are valid")
    rewards: dict[tuple[float, float], list[float]] = defaultdict(list)
    ended = set()
    for rollout in session.rollouts:
        for t, n in rollout.valid.nonzero().tolist():
            key = (float(rollout.observations[t, n, STREAM]), float(rollout.observations[t, n, EPISODE]))
            rewards[key].append(float(rollout.rewards[t, n]))
            if rollout.terminated[t, n] or rollout.truncated[t, n]:
                ended.add(key)
    expected = sorted((sum(rewards[key]), len(rewards[key])) for key in ended)
    episodes = [episode for data in session.collected for episode in data.episodes]
    reported = sorted((episode.episode_return, episode.length) for episode in episodes)
    fail_if(
        reported != expected,
        f"the rollouts hold {len(expected)} whole episodes, with (return, length) {expected[:3]}…, but "
        f"CollectedData.episodes has {len(reported)}: {reported[:3]}…; or rows are missing or come twice",
    )
    strangers = {episode.environment for episode in episodes} - set(range(session.num_envs))
    fail_if(strangers, f"episodes are of environments {strangers}, but the runner has num_envs {session.num_envs}")


def streams_differ(runner: _RunnerSubject) -> None:
    """Every environment has random numbers of its own."""
    session = runner.session
    streams = {float(stream) for rollout in session.rollouts for stream in rollout.observations[..., STREAM].flatten()}
    fail_if(
        len(streams) != session.num_envs,
        f"{session.num_envs} environments played {len(streams)} different streams; derive one seed for each with "
        "crl_core.seeding.environment_seeds",
    )


def newest_weights(runner: _RunnerSubject) -> None:
    """Acting follows learning: later rollouts are played with later weights, and policy_version tells which."""
    for turn, data in enumerate(runner.session.collected):
        for rollout in data.rollouts:
            updates = rollout.extras["updates"]
            fail_if((updates > turn).any(), f"after {turn} updates rows say that they were played with {updates.max()}")
            fail_if((updates.diff(dim=0) < 0).any(), "a later row of a column was played with older weights")
            fail_if(
                (rollout.policy_version > updates[0]).any(),
                f"policy_version is {rollout.policy_version.tolist()}, but the columns began with weights of "
                f"{updates[0].tolist()} updates",
            )
    newest = max(int(rollout.extras["updates"].max()) for rollout in runner.session.collected[-1].rollouts)
    fail_if(newest == 0, f"after {_COLLECTIONS - 1} updates the runner still acts with the first weights")


def evaluation_keeps_no_rollouts(runner: _RunnerSubject) -> None:
    """In evaluation mode there are episodes and steps, but no rollouts that anybody could learn from."""
    policy = FakePolicy.for_task(runner.task, **runner.options)
    with runner.make(policy, eval_mode=True) as evaluating:
        collected = [evaluating.collect_data() for _ in range(2)]
    fail_if(any(data.rollouts for data in collected), "with eval_mode=True collect_data returned rollouts")
    fail_if(
        not all(data.steps for data in collected) or not any(data.episodes for data in collected),
        "with eval_mode=True collect_data reports no steps or no episodes",
    )


def closes(runner: _RunnerSubject) -> None:
    """Closing ends every thread and process, may be repeated, and needs nothing to have been collected before."""
    fail_if(runner.session.left, f"after close() there are still: {', '.join(runner.session.left)}")
    before = _running()
    unused = runner.make(FakePolicy.for_task(runner.task, **runner.options))
    unused.close()
    unused.close()
    left = _left_over(before)
    fail_if(left, f"after close() of a runner that collected nothing there are still: {', '.join(left)}")


_CHECKS: Sequence[Callable[[_RunnerSubject], None]] = (
    rollouts_valid,
    rows_aligned,
    ends_told,
    steps_and_episodes,
    streams_differ,
    newest_weights,
    evaluation_keeps_no_rollouts,
    closes,
)


def runner_checks(name: str, options: Mapping[str, Any]) -> list[Check]:
    """Return every check of an environment runner.

    Args:
        name: the runner, as it is registered.
        options: what it is made with besides `num_envs` (2) and `num_steps` (8), or instead.

    Raises:
        UnknownNameError: there is no such runner.
    """
    entry = registry().runner(name)
    package = entry.spec.runner.partition(":")[0].partition(".")[0]
    subject = _RunnerSubject(name, options)
    return [Check(check.__name__, demand(check), package, functools.partial(check, subject)) for check in _CHECKS]


def _running() -> set[threading.Thread | multiprocessing.process.BaseProcess]:
    return {*threading.enumerate(), *multiprocessing.active_children()}


def _left_over(before: set[Any]) -> list[str]:
    """Return the names of threads and processes that are new since `before` and do not end soon."""
    deadline = time.monotonic() + _STOP_SECONDS
    while (new := _running() - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    return sorted(each.name for each in new)
