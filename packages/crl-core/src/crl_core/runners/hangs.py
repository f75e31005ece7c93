"""Environments that hang: every call into them is timed, and one that lasts too long ends the run.

A call that never returns cannot be broken off, only left behind. Where the main thread waits for another that is in the
call, it raises, and the run is saved and closed as after any failure. Where the main thread itself is in the call,
`HangWatch` ends the process, and the run goes on from its last checkpoint.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from crl_core.errors import EnvironmentFailure

__all__ = ["EnvironmentCall", "HangWatch", "join_threads", "raise_if_hanging"]

_log = logging.getLogger(__name__)

_POLITE_SECONDS = 2.0  # beyond the limit: what waits by itself, as worker processes do, tells more
_LAST_RESORT_SECONDS = 10.0
_POLL_SECONDS = 0.5

_in_progress: dict[int, EnvironmentCall] = {}  # by thread


class _Clock:
    """The seconds for which this process was not suspended, as far as a watch has seen; it stands where none is."""

    seconds = 0.0

    def tick(self, seconds: float) -> None:
        self.seconds += seconds


_clock = _Clock()


class EnvironmentCall:
    """A call into environments, for which a context is entered each time it is made."""

    def __init__(self, seconds: float, failure: Callable[[str], EnvironmentFailure]) -> None:
        """Describe a call.

        Args:
            seconds: how long it may last.
            failure: makes an error of what is wrong, which adds where.
        """
        self._seconds = seconds
        self._failure = failure
        self._began = 0.0

    def __enter__(self) -> Self:
        """Begin the call."""
        self._began = _clock.seconds
        _in_progress[threading.get_ident()] = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        _in_progress.pop(threading.get_ident(), None)

    def hanging(self, grace: float) -> EnvironmentFailure | None:
        """Return the failure if the call is late by more than `grace` seconds."""
        lasted = _clock.seconds - self._began
        if lasted < self._seconds + grace:
            return None
        return self._failure(
            f"an environment gave no answer for {lasted:.0f} s. If it needs so long, set the task's "
            f"step_timeout_seconds, which is {self._seconds:g}"
        )


def raise_if_hanging() -> None:
    """Raise if an environment hangs in another thread than this one; to be called while waiting for those.

    Raises:
        EnvironmentFailure: one does; the message names its task.
    """
    for call in list(_in_progress.values()):
        failure = call.hanging(_POLITE_SECONDS)
        if failure is not None:
            raise failure


def join_threads(threads: Iterable[threading.Thread], seconds: float) -> None:
    """Wait for threads that were asked to stop, all in all so long; warn of those that do not, and leave them."""
    deadline = time.monotonic() + seconds
    late = []
    for thread in threads:
        if thread.is_alive():
            thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            late.append(thread.name)
    if late:
        _log.warning("%s did not stop within %g s and was left behind", ", ".join(late), seconds)


class HangWatch:
    """Keeps the time, shows that the process lives, and ends it if the main thread hangs in an environment.

    A context manager.
    """

    def __init__(self, *, beat: Callable[[], None], tell: Callable[[EnvironmentFailure], None]) -> None:
        """Watch in a thread.

        Args:
            beat: called in it again and again, as the main thread may be busy for long.
            tell: called in it before the end.
        """
        self._beat = beat
        self._tell = tell
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="hang-watch", daemon=True)

    def __enter__(self) -> Self:
        """Begin to watch."""
        _in_progress.clear()  # what an earlier run has left behind is not this one's
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(_POLL_SECONDS):
            now = time.monotonic()
            _clock.tick(min(now - last, 2 * _POLL_SECONDS))
            last = now
            self._beat()
            call = _in_progress.get(threading.main_thread().ident or 0)
            failure = call.hanging(_LAST_RESORT_SECONDS) if call is not None else None
            if failure is not None:
                try:
                    self._tell(failure)
                finally:
                    os._exit(2)
