"""`SeparateGames`: copies of one game that are stepped at once, and of which some can be left out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space

__all__ = ["SeparateGames"]


class SeparateGames(VectorEnv[Any, Any, Any]):
    """N vector environments of one copy each, every one with a thread of its own.

    Evaluation plays with these: as soon as a copy has played its episodes it is left out, where a vector environment of
    N copies would step it until the last copy is done.
    """

    def __init__(self, games: Sequence[AtariVectorEnv]) -> None:
        """Put `games`, of one copy each and all made the same way, behind one vector environment."""
        self._games = list(games)
        first = games[0]
        self.metadata = first.metadata
        self.single_observation_space, self.single_action_space = (
            first.single_observation_space,
            first.single_action_space,
        )
        self._count()

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start a new game in every copy; `seed` is an int32 array `[N]` or None."""
        seeds = [None] * self.num_envs if seed is None else [seed[n : n + 1] for n in range(self.num_envs)]
        observations, infos = zip(*_all_reset(self._games, seeds), strict=True)
        return np.concatenate(observations), _joined(infos)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Play one step in every copy; see `AtariVectorEnv.step`."""
        for n, game in enumerate(self._games):
            game.send(actions[n : n + 1])
        *arrays, infos = zip(*(game.recv() for game in self._games), strict=True)
        observations, rewards, terminated, truncated = map(np.concatenate, arrays)
        return observations, rewards, terminated, truncated, _joined(infos)

    def keep(self, environments: Sequence[int]) -> None:
        """Close all copies but those of `environments`, the indices there are now; they keep their order."""
        kept = [self._games[n] for n in environments]
        for game in self._games:
            if game not in kept:
                _close(game)
        self._games = kept
        self._count()

    def close_extras(self, **kwargs: Any) -> None:
        """Let go of all emulators and their threads."""
        for game in self._games:
            _close(game)
        self._games = []

    def _count(self) -> None:
        self.num_envs = len(self._games)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)


def _all_reset(games: Sequence[AtariVectorEnv], seeds: Sequence[Any]) -> list[tuple[Any, dict[str, Any]]]:
    """Return what each game's reset returns, all at once, as a seeded one loads the game anew, which takes 0.1 s."""
    results: list[Any] = [None] * len(games)
    failures: list[BaseException] = []

    def reset(n: int) -> None:
        try:
            results[n] = games[n].reset(seed=seeds[n])
        except BaseException as error:  # noqa: BLE001  # the caller's thread raises it
            failures.append(error)

    # daemons, so that one that hangs does not keep the process
    threads = [threading.Thread(target=reset, args=(n,), name=f"reset-{n}", daemon=True) for n in range(len(games))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results


def _close(game: AtariVectorEnv) -> None:
    game.close()
    vars(game).pop("ale", None)  # what AtariVectorEnv itself leaves to the garbage collector


def _joined(infos: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the infos of all copies, without ALE's numbers of copies, which all are 0."""
    return {name: np.concatenate([each[name] for each in infos]) for name in infos[0] if name != "env_id"}
