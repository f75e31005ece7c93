"""What each process of `FullParallelRunner` does: it plays one environment with an acting copy of the policy.

The parent sends an `Assignment`, then a policy's acting state for each collection; the process answers `None` when it
is ready, and `CollectedData` or a `Failure` after that. While it plays it sends a sign of life now and then.
"""

from __future__ import annotations

import gc
import io
import pickle
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from crl_core.errors import CrlError, EnvironmentFailure
from crl_core.policy import Policy
from crl_core.runners.batch import BatchRunner
from crl_core.task import Task
from crl_core.workers import belong_to_parent

__all__ = ["SIGN_OF_LIFE", "SIGN_SECONDS", "Assignment", "Failure", "work"]

SIGN_OF_LIFE = b""
SIGN_SECONDS = 1.0


@dataclass(frozen=True)
class Assignment:
    """What a process needs to know once.

    Attributes:
        policy: an acting copy on the CPU.
        task: what is played.
        seed: what the environment's seed derives from.
        eval_mode: whether this is evaluation.
        num_steps: steps of each collection; None: to the end of the episode.
    """

    policy: Policy[Any]
    task: Task
    seed: np.random.SeedSequence
    eval_mode: bool
    num_steps: int | None


@dataclass(frozen=True)
class Failure:
    """An exception, as far as any process can read it.

    Attributes:
        kind: its kind among the core's own errors, whose only argument is a message.
        message: what it says.
        traceback: where it was raised.
    """

    kind: type[CrlError]
    message: str
    traceback: str


def work(connection: Connection) -> None:
    """Play until the parent closes the connection or is gone."""
    belong_to_parent()
    torch.set_num_threads(1)
    gc.freeze()  # or collecting all that torch imported takes a second when the process ends
    parent = _Parent(connection)
    try:
        _play(parent)
    except Exception as error:  # noqa: BLE001  # the parent raises it
        parent.answer(_failure(error))


def _play(parent: _Parent) -> None:
    parent.answer(None)
    assignment: Assignment = pickle.loads(parent.receive())  # noqa: S301  # the parent wrote it
    policy = assignment.policy
    with BatchRunner(
        policy,
        assignment.task,
        seed=assignment.seed,
        eval_mode=assignment.eval_mode,
        num_envs=1,
        num_steps=assignment.num_steps,
    ) as runner:
        runner.on_wait = parent.sign_of_life
        while True:
            state = io.BytesIO(parent.receive())
            policy.load_acting_state(torch.load(state, map_location="cpu", weights_only=True))
            parent.answer(runner.collect_data())


class _Parent:
    """The connection to the parent; without a parent, its methods end the process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last_sign = 0.0

    def receive(self) -> bytes:
        try:
            return self._connection.recv_bytes()
        except (EOFError, OSError):
            raise SystemExit from None

    def answer(self, answer: object) -> None:
        self._send(pickle.dumps(answer))

    def sign_of_life(self) -> None:
        now = time.monotonic()
        if now - self._last_sign >= SIGN_SECONDS:
            self._last_sign = now
            self._send(SIGN_OF_LIFE)

    def _send(self, message: bytes) -> None:
        try:
            self._connection.send_bytes(message)
        except OSError:
            raise SystemExit from None


def _failure(error: Exception) -> Failure:
    trace = traceback.format_exc()
    if not isinstance(error, CrlError):
        return Failure(EnvironmentFailure, f"{type(error).__name__}: {error}", trace)
    kind = next(each for each in type(error).__mro__ if each.__module__ == CrlError.__module__)
    return Failure(kind, str(error), trace)
