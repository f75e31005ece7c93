"""`EnvironmentRunner`, the interface of what plays a policy on a task, and `CollectedData`, what it hands over."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import numpy as np

from crl_core.policy import Policy
from crl_core.rollout import Rollout
from crl_core.task import Task

__all__ = ["CollectedData", "EnvironmentRunner", "Episode"]


@dataclass(frozen=True)
class Episode:
    """A finished episode.

    Attributes:
        environment: the index of the environment that played it.
        episode_return: the sum of its rewards, unclipped and undiscounted.
        length: its steps.
    """

    environment: int
    episode_return: float
    length: int


@dataclass(frozen=True)
class CollectedData:
    """What a runner hands over at once.

    Attributes:
        rollouts: what the policy trains on; empty in evaluation.
        steps: valid steps in the rollouts; in evaluation, valid steps played.
        episodes: the episodes that ended, in the order they did.
        logs: figures that the same seed gives again.
        timings: figures that it does not: speeds, lags, memory.
    """

    rollouts: Sequence[Rollout]
    steps: int
    episodes: Sequence[Episode]
    logs: Mapping[str, float] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)


class EnvironmentRunner(ABC):
    """Plays a policy on a task. A context manager: leaving it closes its environments, threads and processes.

    Attributes:
        num_envs: how many environments it plays; `Episode.environment` counts those it had at first.
        dropped_steps: after `close`, the steps of whole unrolls that were never handed over.
        on_wait: called again and again while `collect_data` plays or waits; what it raises ends the collection.
    """

    num_envs: int
    dropped_steps: int = 0
    on_wait: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, policy: Policy[Any], task: Task, *, seed: np.random.SeedSequence, eval_mode: bool) -> None:
        """Make a runner. A subclass adds what it needs to know from the policy (`Policy.runner_options`) as keywords.

        Args:
            policy: what acts.
            task: what is played.
            seed: what all its random streams derive from.
            eval_mode: whether this is evaluation: no rollouts are kept.
        """
        self.policy = policy
        self.task = task
        self.seed = seed
        self.eval_mode = eval_mode

    @abstractmethod
    def collect_data(self) -> CollectedData:
        """Play on from where the last call stopped, and return what happened."""

    def keep(self, environments: Sequence[int]) -> None:  # noqa: B027  # not all can
        """In evaluation, go on with these environments only, where others need not be stepped along with them.

        Episodes keep the numbers of their environments, which `environments` are in ascending order.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of environments, threads and processes. May be called more than once."""

    def __enter__(self) -> Self:
        """Return the runner."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the runner."""
        self.close()
