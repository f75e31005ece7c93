"""Ending a run on request: Ctrl-C and SIGTERM are noticed at the next safe point, where nothing is half done."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Interrupted", "StopRequest"]


class Interrupted(Exception):  # noqa: N818  # not an error: somebody asked
    """The user asked a run to end."""


class StopRequest:
    """Turns the first SIGINT or SIGTERM into a request, and a SIGINT after it into an immediate KeyboardInterrupt."""

    def __init__(self) -> None:
        """Nothing is requested yet."""
        self._signal: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def check(self) -> None:
        """Raise `Interrupted` if somebody asked; to be called at safe points only."""
        if self._signal is not None:
            raise Interrupted(self._signal.name)

    def __enter__(self) -> Self:
        """Begin to listen; only the main thread can."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave signals as they were."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signal = self._signal or signal.Signals(number)
