"""`WorkerProcesses`: the processes of `FullParallelRunner`, whose death or silence is an error and never a hang."""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.connection
import pickle
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from crl_core.errors import CrlError, EnvironmentFailure
from crl_core.runners.worker import SIGN_OF_LIFE, SIGN_SECONDS, Failure, work
from crl_core.task import Task
from crl_core.workers import WorkerTraceback, end_processes, interrupts_held_back

__all__ = ["WorkerProcesses"]

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2  # how long to wait before looking whether to stop
_START_SECONDS = 300.0  # many processes that import torch at once are slow
_CLOSE_SECONDS = 5.0


@dataclass(frozen=True)
class _Worker:
    process: SpawnProcess
    connection: Connection


class WorkerProcesses:
    """Processes that each answer what they are sent.

    Attributes:
        answered: what processes have answered of what `answers` waits for, by index.
    """

    def __init__(self, task: Task) -> None:
        """Start nothing yet; messages name the task, and one of its steps may take as long as it says."""
        self.answered: dict[int, Any] = {}
        self._task_id = task.id
        self._step_seconds = task.step_timeout_seconds
        self._limit = _START_SECONDS  # of the first answer, which takes making the environment, too
        self._workers: list[_Worker] = []
        self._are_ready = False

    def start(self, count: int, on_wait: Callable[[], None]) -> None:
        """Start `count` processes, and wait until they are ready; see `answers`."""
        context = multiprocessing.get_context("spawn")
        for index in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=work, args=(theirs,), name=f"full_parallel-{index}", daemon=True)
            self._workers.append(_Worker(process, ours))
            with interrupts_held_back():
                process.start()
            theirs.close()  # so that a process that dies leaves nobody to keep the pipe open
        self.answers(on_wait, silence=_START_SECONDS)
        self._are_ready = True

    def send(self, messages: Iterable[bytes]) -> None:
        """Send each process, all of which have answered what came before, its message."""
        for index, (worker, message) in enumerate(zip(self._workers, messages, strict=True)):
            try:
                worker.connection.send_bytes(message)
            except OSError as error:
                raise self._death(index) from error

    def answers(self, on_wait: Callable[[], None], *, silence: float | None = None) -> list[Any]:
        """Wait for an answer from each process, and return them in the order of processes.

        Args:
            on_wait: called several times a second; what it raises ends the wait.
            silence: seconds without a sign of life after which a process is given up; None: as long as a step may take.

        Raises:
            EnvironmentFailure: a process died, is silent or raised what is no `CrlError`.
            CrlError: a process raised it.
        """
        limit = silence or self._limit
        silent_seconds = dict.fromkeys(range(len(self._workers)), 0.0)  # of those that have not answered
        while silent_seconds:
            started = time.monotonic()
            heard = self._wait_for(silent_seconds)
            waited = min(time.monotonic() - started, _POLL_SECONDS)  # it is longer if this process was suspended
            on_wait()  # after the wait: a Ctrl-C that also ended a process which was starting is no failure
            for index in tuple(silent_seconds):
                silent_seconds[index] = 0.0 if index in heard else silent_seconds[index] + waited
                if silent_seconds[index] > limit:
                    raise self._failure(
                        index,
                        f"gave no sign of life for {limit:g} seconds. If one step needs so long, set the task's "
                        f"step_timeout_seconds, which is {self._step_seconds:g}",
                    )
            for index in heard:
                message = self._receive(index)
                if message != SIGN_OF_LIFE:
                    self.answered[index] = self._unpacked(index, message)
                    del silent_seconds[index]
        answers = [self.answered[index] for index in range(len(self._workers))]
        self.answered = {}
        if self._are_ready:
            self._limit = self._step_seconds + 2 * SIGN_SECONDS
        return answers

    def close(self) -> None:
        """Ask the processes to end, and end those that do not. May be called more than once."""
        for worker in self._workers:
            worker.connection.close()
        processes = [worker.process for worker in self._workers if worker.process.pid is not None]
        if self._are_ready:
            deadline = time.monotonic() + _CLOSE_SECONDS
            for process in processes:
                process.join(max(0.0, deadline - time.monotonic()))
        late = [process for process in processes if process.is_alive()]
        if late and self._are_ready:
            names = ", ".join(process.name for process in late)
            _log.warning("task '%s': ended what did not stop within %g s: %s", self._task_id, _CLOSE_SECONDS, names)
        end_processes(late, _CLOSE_SECONDS)
        for process in processes:
            process.close()
        self._workers = []

    def _wait_for(self, indices: Iterable[int]) -> list[int]:
        """Return the processes that have sent something or died, a fraction of a second later at most."""
        owners: dict[Any, int] = {}
        for index in indices:
            owners[self._workers[index].connection] = index
            owners[self._workers[index].process.sentinel] = index
        ready = multiprocessing.connection.wait(list(owners), _POLL_SECONDS)
        return sorted({owners[each] for each in ready})

    def _receive(self, index: int) -> bytes:
        connection = self._workers[index].connection
        try:
            if connection.poll():
                return connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._death(index) from error
        raise self._death(index)

    def _unpacked(self, index: int, message: bytes) -> Any:
        answer = pickle.loads(message)  # noqa: S301  # our own process wrote it
        if isinstance(answer, Failure):
            raise self._failure(index, f"failed: {answer.message}", answer.kind) from WorkerTraceback(answer.traceback)
        return answer

    def _death(self, index: int) -> CrlError:
        process = self._workers[index].process
        process.join(_CLOSE_SECONDS)  # only then is its exit code known
        return self._failure(index, f"died (exit code {process.exitcode})")

    def _failure(self, index: int, what: str, kind: type[CrlError] = EnvironmentFailure) -> CrlError:
        return kind(f"process {index} of task '{self._task_id}' {what}")
