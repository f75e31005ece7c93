"""`PipelinedRunner`: threads collect unrolls with acting copies of the policy while the learner trains."""

from __future__ import annotations

import copy
import logging
import queue
import threading
import time
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from crl_core.config import ThreadCount
from crl_core.cores import environment_threads, usable_cores
from crl_core.errors import EnvironmentFailure
from crl_core.policy import Policy
from crl_core.rollout import Rollout
from crl_core.runners.base import CollectedData, Episode
from crl_core.runners.batch import BatchRunner
from crl_core.runners.collector import UnrollCollector
from crl_core.runners.hangs import join_threads
from crl_core.seeding import child_sequences, torch_seed
from crl_core.task import Task

__all__ = ["PipelinedRunner", "count_collectors"]

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2  # how long a thread waits before it looks whether it should stop
_CLOSE_SECONDS = 5.0
_ENVIRONMENTS_PER_COLLECTOR = 16  # fewer make forward passes too small to be worth a thread


class _Published(NamedTuple):
    """Weights that nobody writes to any more, and how many updates they had seen."""

    version: int
    network: nn.Module


class _Collected(NamedTuple):
    rollout: Rollout
    episodes: list[Episode]


class _Stopped(Exception):  # noqa: N818  # not an error: the runner is being closed
    """Ends a collector's thread."""


class PipelinedRunner(BatchRunner):
    """Collects in background threads, each with its share of the environments, while the policy learns.

    Hands over: one rollout of exactly `batch_size` columns and T steps, each collected with weights that may be a few
    updates old. `policy_version` says how old, and the lag is logged; a short bounded queue, which holds collectors
    back when the learner is slower, bounds it.

    Choose it: for policies that correct for the lag, as V-trace does. Environments step while the policy learns.

    Costs: one thread for each collector, a copy of the network for each update, and runs that cannot be repeated, as
    the order of columns depends on timing; `lock_step` gives up the overlap for runs that can.
    """

    def __init__(
        self,
        policy: Policy[Any],
        task: Task,
        *,
        seed: np.random.SeedSequence,
        eval_mode: bool,
        num_envs: int,
        num_steps: int,
        batch_size: int,
        num_collectors: ThreadCount = "auto",
        lock_step: bool = False,
    ) -> None:
        """Make a runner; its threads start with the first `collect_data`.

        Args:
            policy: what acts; its weights are copied at each `collect_data`.
            task: what is played.
            seed: what all its random streams derive from.
            eval_mode: whether this is evaluation, which is played as `BatchRunner` does.
            num_envs: environments, shared out among the collectors.
            num_steps: T.
            batch_size: columns handed over at once.
            num_collectors: threads that collect; `auto`: one for four cores, as environments have threads of their own,
                and for 16 environments, as small forward passes are slow; at least one.
            lock_step: whether to collect and learn in turns, in one thread, so that the same seed gives the same run.
        """
        super().__init__(policy, task, seed=seed, eval_mode=eval_mode, num_envs=num_envs, num_steps=num_steps)
        self._batch_size = batch_size
        self._lock_step = lock_step
        shares = _shares(num_envs, count_collectors(num_collectors, num_envs))
        self._collected_task = _sharing_cores(task, len(shares), on_cpu=policy.device.type == "cpu")
        self._published = _Published(-1, nn.Identity())
        self._queue: queue.Queue[_Collected] = queue.Queue(maxsize=len(shares))
        self._waiting: list[Rollout] = []  # columns taken from the queue, not yet handed over
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._run_collector, args=(child, share), name=f"collector-{index}", daemon=True)
            for index, (child, share) in enumerate(zip(child_sequences(seed, len(shares)), shares, strict=True))
        ]

    def collect_data(self) -> CollectedData:
        """Publish the policy's weights, then hand over the next columns.

        Returns:
            One rollout of `batch_size` columns; in evaluation none, only the episodes that ended.

        Raises:
            EnvironmentFailure: a collector's environment failed.
        """
        if self.eval_mode:
            return super().collect_data()
        if self._lock_step:  # nothing acts while the policy learns, so its own network serves
            self._published = _Published(self._published.version + 1, self.policy.network)
        else:
            self._publish()
        started = time.perf_counter()
        episodes: list[Episode] = []
        while sum(rollout.num_columns for rollout in self._waiting) < self._batch_size:
            collected = self._play() if self._lock_step else self._next()
            self._waiting.append(collected.rollout)
            episodes += collected.episodes
        columns = Rollout.concatenate(self._waiting)
        batch = columns.columns(0, self._batch_size)
        rest = columns.columns(self._batch_size, columns.num_columns)
        self._waiting = [rest] if rest.num_columns else []
        lags = (self._published.version - batch.policy_version).to(torch.float32)
        timings = {
            "policy_lag": float(lags.mean()),
            "policy_lag_max": float(lags.max()),
            "learner_waited_seconds": time.perf_counter() - started,
        }
        return CollectedData([batch], batch.steps, episodes, timings=timings)

    def close(self) -> None:
        """Stop the collectors; count the steps they had ready in `dropped_steps`."""
        super().close()
        self._stop.set()
        join_threads(self._threads, _CLOSE_SECONDS)
        self._threads = []
        if self._failure is not None:
            _log.warning("task '%s': a collector failed while it was closed", self.task.id, exc_info=self._failure)
            self._failure = None
        while not self._queue.empty():
            self._waiting.append(self._queue.get_nowait().rollout)
        self.dropped_steps += sum(rollout.steps for rollout in self._waiting)
        self._waiting = []

    def _publish(self) -> None:
        """Give collectors the newest weights: a fresh copy, since a network in use must never be written to."""
        network = copy.deepcopy(self.policy.network).eval().requires_grad_(False)
        self._published = _Published(self._published.version + 1, network)
        if self._published.version == 0:
            for thread in self._threads:
                thread.start()

    def _play(self) -> _Collected:
        """Collect in this thread, with the newest weights."""
        self._policy_version = self._published.version
        data = self._collect()
        return _Collected(data.rollouts[0], list(data.episodes))

    def _next(self) -> _Collected:
        while True:
            self.on_wait()
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            try:
                return self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                all_stopped = not any(thread.is_alive() for thread in self._threads)
                if all_stopped and self._failure is None:
                    raise EnvironmentFailure(f"task '{self.task.id}': every collector has stopped") from None

    def _run_collector(self, seed: np.random.SeedSequence, num_envs: int) -> None:
        actor = self.policy.acting_copy(seed=torch_seed(seed))

        def before_step() -> None:
            if self._stop.is_set():
                raise _Stopped
            actor.network = self._published.network

        collector: UnrollCollector | None = None
        try:
            collector = UnrollCollector(
                actor,
                self._collected_task,
                seed=seed,
                num_envs=num_envs,
                num_steps=self.num_steps,
                before_step=before_step,
            )
            while True:
                version = self._published.version
                self._put(_Collected(*collector.collect(policy_version=version)))
        except _Stopped:
            pass
        except BaseException as error:  # noqa: BLE001  # nothing may be lost in a thread
            self._failure = error  # the learner's thread raises it
        finally:
            if collector is not None:
                collector.close()

    def _put(self, collected: _Collected) -> None:
        while not self._stop.is_set():
            try:
                return self._queue.put(collected, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
        self._waiting.append(collected.rollout)
        raise _Stopped


def count_collectors(setting: ThreadCount, num_envs: int) -> int:
    """Return how many threads collect from `num_envs` environments."""
    automatic = max(1, min(num_envs // _ENVIRONMENTS_PER_COLLECTOR, usable_cores() // 4))
    return automatic if setting == "auto" else min(setting, num_envs)


def _sharing_cores(task: Task, num_collectors: int, *, on_cpu: bool) -> Task:
    """Return the task with each collector's share of the threads that step environments, unless their number is set."""
    if task.environment_threads != "auto":
        return task
    threads = environment_threads(learns_while_collecting=on_cpu)
    return task.model_copy(update={"environment_threads": max(1, threads // num_collectors)})


def _shares(total: int, parts: int) -> list[int]:
    each, rest = divmod(total, parts)
    return [each + (index < rest) for index in range(parts)]
