"""Evaluation: whole episodes of every task, played by a copy of the policy, so that training is left untouched."""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from crl_core.cores import usable_cores
from crl_core.errors import EnvironmentFailure
from crl_core.policy import Policy
from crl_core.runners.base import Episode
from crl_core.runners.hangs import join_threads
from crl_core.seeding import torch_seed
from crl_core.task import Task

__all__ = ["EvaluationProgress", "episode_quotas", "evaluate"]

_POLL_SECONDS = 0.1
_CLOSE_SECONDS = 10.0  # an environment that is being made, as Atari's are one by one, takes seconds


@dataclass(frozen=True)
class EvaluationProgress:
    """How far an evaluation is.

    Attributes:
        episodes: whole episodes played.
        num_episodes: whole episodes to play.
        steps: steps played.
    """

    episodes: int
    num_episodes: int
    steps: int


def episode_quotas(num_episodes: int, num_envs: int) -> list[int]:
    """Return how many episodes each environment plays.

    The quotas are fixed beforehand: taking the first episodes to end, from whichever environment, would favour short
    ones.
    """
    each, rest = divmod(num_episodes, num_envs)
    return [each + (index < rest) for index in range(num_envs)]


def evaluate(
    policy: Policy[Any],
    tasks: Mapping[int, Task],
    *,
    seeds: Mapping[int, np.random.SeedSequence],
    on_progress: Callable[[EvaluationProgress], None],
) -> dict[int, list[Episode]]:
    """Evaluate a policy on tasks, side by side where there are cores for it.

    Args:
        policy: what is evaluated; only copies of it act.
        tasks: the tasks by their index in the experiment.
        seeds: what each task's environments and sampled actions derive from.
        on_progress: called several times a second; what it raises ends the evaluation.

    Returns:
        The episodes of each task, exactly `continual_eval_num_returns` of them.

    Raises:
        EnvironmentFailure: an environment raised, or its episode went on past `eval_max_steps`.
    """
    games = {
        index: _Game(policy.acting_copy(seed=torch_seed(seeds[index])), task, seeds[index])
        for index, task in tasks.items()
    }
    on_progress(_progress(list(games.values())))  # making environments can take seconds
    num_players = min(len(games), usable_cores())
    with _torch_threads_shared_by(num_players):
        players = _Players(list(games.values()), num_players)
        try:
            while players.playing(_POLL_SECONDS):
                on_progress(_progress(list(games.values())))
            on_progress(_progress(list(games.values())))
        finally:
            players.stop()
    return {index: game.episodes for index, game in games.items()}


@contextlib.contextmanager
def _torch_threads_shared_by(players: int) -> Iterator[None]:
    """Let threads that start meanwhile have their share of torch's threads each."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // max(1, players)))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _progress(games: list[_Game]) -> EvaluationProgress:
    return EvaluationProgress(
        episodes=sum(len(game.episodes) for game in games),
        num_episodes=sum(game.task.continual_eval_num_returns for game in games),
        steps=sum(game.steps for game in games),
    )


class _Game:
    """One task being evaluated."""

    def __init__(self, policy: Policy[Any], task: Task, seed: np.random.SeedSequence) -> None:
        self.policy = policy
        self.task = task
        self.seed = seed
        self.episodes: list[Episode] = []
        self.steps = 0

    def play(self, stop: threading.Event) -> None:
        """Play until every environment has filled its quota."""
        with self.policy.get_environment_runner(self.task, seed=self.seed, eval_mode=True) as runner:
            open_quotas = episode_quotas(self.task.continual_eval_num_returns, runner.num_envs)
            # an episode may take one more row for its reset; the runner overshoots by less than one collection
            patience, rows = max(open_quotas) * (self.task.eval_max_steps + 1), 0.0
            while any(open_quotas) and not stop.is_set():
                if rows >= patience:
                    raise EnvironmentFailure(
                        f"task '{self.task.id}': an evaluation episode went on past eval_max_steps "
                        f"({self.task.eval_max_steps}), where its environments should have truncated it"
                    )
                runner.keep([environment for environment, quota in enumerate(open_quotas) if quota])
                data = runner.collect_data()
                self.steps += data.steps
                rows += data.steps / runner.num_envs
                for episode in data.episodes:
                    if open_quotas[episode.environment]:
                        open_quotas[episode.environment] -= 1
                        self.episodes.append(episode)


class _Players:
    """Threads that play games. One that an environment keeps for ever is left behind."""

    def __init__(self, games: Sequence[_Game], num_players: int) -> None:
        """Start to play."""
        self._waiting = collections.deque(games)
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._play, name=f"evaluation-{index}", daemon=True) for index in range(num_players)
        ]
        for thread in self._threads:
            thread.start()

    def playing(self, seconds: float) -> bool:
        """Wait for so long, or until all games are over; tell whether some are not. Raise what a game raised."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        going_on = any(thread.is_alive() for thread in self._threads)  # looked at first: one that fails now has told
        if self._failures:
            raise self._failures[0]
        return going_on

    def stop(self) -> None:
        """End the games that are not over."""
        self._stop.set()
        join_threads(self._threads, _CLOSE_SECONDS)

    def _play(self) -> None:
        try:
            while (game := self._next()) is not None:
                game.play(self._stop)
        except BaseException as error:  # noqa: BLE001  # whoever waits raises it
            self._failures.append(error)
            self._stop.set()

    def _next(self) -> _Game | None:
        if not self._stop.is_set():
            with contextlib.suppress(IndexError):  # all are being played
                return self._waiting.popleft()
        return None
