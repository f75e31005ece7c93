"""`WithScreen`: a game, and beside it the same game in colour and at full size, to be filmed."""

from __future__ import annotations

from typing import Any

import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium.vector import VectorWrapper

from crl_core.errors import EnvironmentFailure
from crl_tasks_atari.envs import AtariEnvs, failures

__all__ = ["WithScreen"]


class WithScreen(VectorWrapper[Any, Any, Any, Any, Any]):
    """Plays a second emulator with the same seed and actions, whose screen `render()` returns.

    ALE's vector environment shows either what policies see or the screen, not both.
    """

    def __init__(self, envs: AtariEnvs, screen: AtariVectorEnv, game: str, *, frames_per_second: float) -> None:
        """Wrap one copy of a game.

        Args:
            envs: what is played.
            screen: the same, showing RGB, one frame a step.
            game: its ROM id, for messages.
            frames_per_second: steps in a second of the game.
        """
        super().__init__(envs)
        self._screen = screen
        self._game = game
        self._shown: Any = None
        self._fps = frames_per_second

    @property  # type: ignore[misc]  # nobody sets it
    def metadata(self) -> dict[str, Any]:  # type: ignore[override]  # nobody sets it
        """The wrapped environments', with the speed of the game."""
        return {**self.env.metadata, "render_fps": self._fps}

    @property
    def render_mode(self) -> str:  # type: ignore[override]  # nobody sets it
        """How `render` shows the game."""
        return "rgb_array"

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start a new game on both."""
        reset = self.env.reset(seed=seed, options=options)
        with failures(self._game, "being reset"):
            self._shown, _ = self._screen.reset(seed=seed)
        return reset

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Play one step on both.

        Raises:
            EnvironmentFailure: ALE raised, or the two do not play the same game.
        """
        played = self.env.step(actions)
        with failures(self._game, "being stepped"):
            self._shown, rewards, *_ = self._screen.step(np.asarray(actions, np.int64))
        if not np.array_equal(played[1], rewards):
            raise EnvironmentFailure(f"Atari game '{self._game}': the screen shows another game than is played")
        return played

    def render(self) -> tuple[Any, ...]:
        """Return the screen, uint8 `[height, width, 3]`, of the one copy."""
        return (self._shown[0, -1].copy(),)

    def close(self, **kwargs: Any) -> None:
        """Let go of both emulators."""
        super().close(**kwargs)
        self._screen.close()
        vars(self._screen).pop("ale", None)
