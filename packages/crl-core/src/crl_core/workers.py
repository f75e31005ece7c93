"""`WorkerEnvs`: environments in processes of their own, whose death or silence is an error and never a hang."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import resource_tracker
from typing import Any

import gymnasium
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.async_vector_env import _async_worker

__all__ = ["WorkerEnvs", "WorkerTraceback", "belong_to_parent", "end_processes", "interrupts_held_back"]

_POLL_SECONDS = 0.2
_CLOSE_SECONDS = 5.0


class WorkerEnvs(AsyncVectorEnv):
    """Gymnasium's environments in processes, with NEXT_STEP autoreset.

    Unlike theirs, it waits only so long for an answer and not for ever, raises a worker's exception with the worker's
    traceback as its cause, and closes whatever state its workers are in.
    """

    def __init__(
        self, factories: Sequence[Callable[[], gymnasium.Env[Any, Any]]], *, answer_seconds: float = 60.0
    ) -> None:
        """Start one process per factory; a factory must be picklable. A step or reset may last `answer_seconds`."""
        self._answer_seconds = answer_seconds
        self._starting = contextlib.ExitStack()
        with self._watched(), self._starting:
            self._starting.enter_context(interrupts_held_back())
            super().__init__(factories, context="spawn", worker=_work, autoreset_mode=AutoresetMode.NEXT_STEP)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset all environments.

        Raises:
            TimeoutError: a worker gave no answer.
            RuntimeError: a worker died.
        """
        with self._watched():
            self.reset_async(seed=seed, options=options)
            return self.reset_wait(self._answer_seconds)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all environments.

        Raises:
            TimeoutError: a worker gave no answer.
            RuntimeError: a worker died.
        """
        with self._watched():
            self.step_async(actions)
            return self.step_wait(self._answer_seconds)

    def close_extras(self, timeout: float | None = None, terminate: bool = True) -> None:
        """End the processes."""
        end_processes(self.processes, _CLOSE_SECONDS if timeout is None else timeout)
        for pipe in self.parent_pipes:
            if pipe is not None:
                pipe.close()

    def _check_spaces(self) -> None:
        self._starting.close()  # all processes have started, and wait for their environments takes the time it takes
        super()._check_spaces()  # type: ignore[no-untyped-call]  # Gymnasium's

    def _poll_pipe_envs(self, timeout: float | None = None) -> bool:
        """Wait for the answers of all workers; tell whether they came in time, for which this process ran."""
        silent, waited = set(self.parent_pipes), 0.0
        while silent and (timeout is None or waited < timeout):
            began = time.monotonic()
            silent.difference_update(multiprocessing.connection.wait(silent, _POLL_SECONDS))
            waited += min(time.monotonic() - began, _POLL_SECONDS)  # it is longer if this process was suspended
        return not silent

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Say in words what is wrong with a worker."""
        try:
            yield
        except multiprocessing.TimeoutError as error:
            raise TimeoutError(
                f"a worker process gave no answer for {self._answer_seconds:g} seconds, the step_timeout_seconds"
            ) from error
        except (EOFError, ConnectionError) as error:
            ended = multiprocessing.connection.wait([each.sentinel for each in self.processes], _CLOSE_SECONDS)
            dead = [each for each in self.processes if each.sentinel in ended]
            for each in dead:
                each.join(_CLOSE_SECONDS)  # only then is its exit code known
            codes = ", ".join(f"{each.name} (exit code {each.exitcode})" for each in dead)
            raise RuntimeError(f"a worker process died: {codes}") from error

    def _raise_if_errors(self, successes: Iterable[bool]) -> None:
        if not all(successes):
            _, _, error, trace = self.error_queue.get(timeout=_CLOSE_SECONDS)
            raise error from WorkerTraceback(trace)


class WorkerTraceback(Exception):  # noqa: N818  # the text of a traceback, not an error of its own
    """Where in its worker an exception was raised."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def end_processes(processes: Iterable[multiprocessing.process.BaseProcess], timeout: float) -> None:
    """Terminate processes, and kill those that are still there `timeout` seconds later."""
    waiting = list(processes)
    for process in waiting:
        process.terminate()
    for process in waiting:
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()


@contextlib.contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Hold Ctrl-C back while processes start, which would die of it with a traceback, until `belong_to_parent`."""
    resource_tracker.ensure_running()  # where the first process starts it, it ends the blocking
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def belong_to_parent() -> None:
    """Leave Ctrl-C, which a terminal sends to every process, to the parent; end when that is gone, whatever goes on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _work(*arguments: Any) -> None:
    """Serve one environment."""
    belong_to_parent()
    _async_worker(*arguments)
