"""`AtariEnvs`: many copies of one game, stepped by ALE's own threads; and what else is asked of the emulator."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from ale_py import ALEInterface, LoggerMode
from ale_py.roms import get_rom_path
from ale_py.vector_env import AtariVectorEnv
from gymnasium.spaces import Discrete
from gymnasium.vector import VectorWrapper

from crl_core.errors import EnvironmentFailure
from crl_tasks_atari.separate import SeparateGames

__all__ = ["AtariEnvs", "count_actions", "failures"]


class AtariEnvs(VectorWrapper[Any, Any, Any, Any, Any]):
    """N copies of one game, with the ends of lives and of games told apart.

    `step` returns arrays of its own, which later steps leave alone. Its infos carry, each bool `[N]`:

    - `episode_over`: the game ended, or the step limit cut it off. The next row of that copy is a reset.
    - `is_reset`: this row is such a reset; its action was ignored and its reward is 0.

    With `life_loss_ends` a lost life is `terminated` although the game plays on, so that `episode_over` is false. A
    life lost at the very step that meets the limit is `terminated`, not `truncated`, and then the game is over too.

    The newest frame of a game's last observation is not quite its last screen: ALE stops before it reads that, so the
    frame is the maximum of the one before and of what was read since. Gymnasium's preprocessing does so at a game's
    end, too.
    """

    def __init__(self, envs: AtariVectorEnv | SeparateGames, game: str, *, life_loss_ends: bool) -> None:
        """Wrap ALE's vector environment, or several.

        Args:
            envs: made with NEXT_STEP autoreset, without `episodic_life` and without `life_loss_info`; with the latter a
                lost life could not be told from a game that ends with lives left.
            game: its ROM id, for messages.
            life_loss_ends: whether a lost life terminates an episode.
        """
        super().__init__(envs)
        self._separate = envs if isinstance(envs, SeparateGames) else None
        self._game = game
        self._life_loss_ends = life_loss_ends
        self._num_actions = int(cast("Discrete", envs.single_action_space).n)
        self._over = np.zeros(envs.num_envs, dtype=np.bool_)  # [N], whether the next row is a reset
        self._lives = np.zeros(envs.num_envs, dtype=np.int32)  # [N], after the latest row

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start a new game in every copy.

        Args:
            seed: an int32 array `[N]`, one seed per copy; None goes on with the streams there are.
            options: there are none.
        """
        if options:
            raise ValueError(f"Atari environments take no reset options, but got {sorted(options)}")
        with failures(self._game, "being reset"):
            observations, infos = self.env.reset(seed=seed)
        self._over = np.zeros_like(self._over)
        self._lives = infos["lives"]
        return observations, infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Play one step in every copy; where a game was over, start the next one instead.

        Args:
            actions: integers `[N]`.

        Returns:
            Observations uint8 `[N, frame_stack, image_size, image_size]`, rewards float32 `[N]`, terminated bool `[N]`,
            truncated bool `[N]`, infos.

        Raises:
            EnvironmentFailure: ALE raised, or there is no such action.
        """
        actions = self._checked(actions)
        with failures(self._game, "being stepped"):
            observations, rewards, game_over, truncated, infos = self.env.step(actions)
        is_reset, lives = self._over, infos["lives"]
        life_lost = (lives < self._lives) & (lives > 0) & ~is_reset & self._life_loss_ends
        self._over, self._lives = game_over | truncated, lives
        infos = {**infos, "is_reset": is_reset, "episode_over": self._over.copy()}
        return observations, rewards.astype(np.float32), game_over | life_lost, truncated & ~life_lost, infos

    @property
    def keep(self) -> Callable[[Sequence[int]], None] | None:
        """What leaves out all copies but some, as core's `EnvironmentLoop.keep` asks for; None where that cannot be."""
        return self._keep if self._separate is not None else None

    def close(self, **kwargs: Any) -> None:
        """Let go of the emulators and their threads. May be called more than once."""
        super().close(**kwargs)
        vars(self.env).pop("ale", None)  # what AtariVectorEnv itself leaves to the garbage collector

    def _keep(self, environments: Sequence[int]) -> None:
        assert self._separate is not None
        self._separate.keep(environments)
        self._over, self._lives = self._over[environments], self._lives[environments]

    def _checked(self, actions: Any) -> npt.NDArray[np.int64]:
        # ALE's worker threads would swallow an action out of range, and step would wait for ever for its result.
        checked = np.asarray(actions, dtype=np.int64)
        if checked.size and not (checked.min() >= 0 and checked.max() < self._num_actions):
            last = self._num_actions - 1
            raise EnvironmentFailure(f"Atari game '{self._game}' has actions 0 to {last}, but got {checked.tolist()}")
        return checked


@functools.cache
def count_actions(game: str, *, full_action_space: bool) -> int:
    """Return how many actions a game offers: those it uses, or those of the console.

    Raises:
        EnvironmentFailure: ALE cannot load the game.
    """
    with failures(game, "being loaded"):
        ALEInterface.setLoggerMode(LoggerMode.Error)  # else loading prints a banner
        emulator = ALEInterface()
        emulator.loadROM(str(get_rom_path(game)))
        return len(emulator.getLegalActionSet() if full_action_space else emulator.getMinimalActionSet())


@contextmanager
def failures(game: str, doing: str) -> Iterator[None]:
    """Turn whatever the emulator raises into an `EnvironmentFailure` that names the game and what it was `doing`."""
    try:
        yield
    except Exception as error:
        raise EnvironmentFailure(
            f"Atari game '{game}' failed while it was {doing}: {type(error).__name__}: {error}"
        ) from error
