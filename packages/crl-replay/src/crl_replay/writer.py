"""The one thread that writes to a store, in short transactions.

LMDB wants every write transaction begun and committed by the same thread, and shows readers only what has been
committed. So writes queue up here, and stay readable as `pending` until their transaction is through.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import lmdb

from crl_core.errors import ReplayError
from crl_replay.arrays import Payload
from crl_replay.codec import compress
from crl_replay.environment import fill_up, unroll_numbers
from crl_replay.pieces import delete_record, piece_bytes, put_record

__all__ = ["Pending", "Write", "Writer"]

# What may wait in memory, and what one transaction takes of it.
BACKLOG_BYTES = 64 << 20
TRANSACTION_BYTES = 16 << 20
_OVERHEAD_BYTES = 256
_POLL_SECONDS = 1.0


@dataclass(frozen=True, eq=False)
class Write:
    """One thing to do: store what `compress` makes of `payload` under `key`; or delete `key` where `payload` is None.

    The writer owns `payload`'s memory from then on.
    """

    key: bytes
    payload: Payload | None
    compress: Callable[[Payload], bytes] = compress

    @property
    def cost(self) -> int:
        """Bytes it holds in memory while it waits."""
        return _OVERHEAD_BYTES + (0 if self.payload is None else self.payload.nbytes)


class Pending(NamedTuple):
    """What a write that is not committed yet will leave under its key: plain bytes, or None for nothing."""

    payload: bytes | None


class Writer:
    """Compresses and commits writes in the order of `submit`, and makes them durable on `sync`.

    A failed write stops it for good; every later call raises that failure, so no write is ever lost without a word.
    """

    def __init__(self, environment: lmdb.Environment, directory: Path, *, stall_seconds: float) -> None:
        """Start the thread.

        Args:
            environment: where to write.
            directory: the store's directory, for messages.
            stall_seconds: how long a caller waits for a disk that takes nothing before it raises.
        """
        self._environment = environment
        self._piece_bytes = piece_bytes(environment)
        self._directory = directory
        self._stall_seconds = stall_seconds
        self._changed = threading.Condition()
        self._queue: deque[Write] = deque()
        self._pending: dict[bytes, Write] = {}
        self._spare: list[Payload] = []
        self._backlog = 0
        self._submitted = 0
        self._committed = 0
        self._sync_target = 0
        self._synced = 0
        self._stopping = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="crl-replay-writer", daemon=True)
        self._thread.start()

    def submit(self, writes: Sequence[Write]) -> None:
        """Queue `writes`. Blocks while the backlog is full."""
        cost = sum(write.cost for write in writes)
        with self._changed:
            self._wait_for(lambda: self._backlog == 0 or self._backlog + cost <= BACKLOG_BYTES)
            self._queue.extend(writes)
            self._pending.update((write.key, write) for write in writes)
            self._backlog += cost
            self._submitted += len(writes)
            self._changed.notify_all()

    def pending(self, key: bytes) -> Pending | None:
        """Return what the last write of `key` will leave there, or None if none is waiting."""
        with self._changed:
            self._raise_failure()
            write = self._pending.get(key)
            # Copied under the lock: once it is committed, its memory serves for another.
            return None if write is None else Pending(None if write.payload is None else write.payload.tobytes())

    def memory(self) -> Payload | None:
        """Return the memory of a payload that is committed, to pack the next one into."""
        with self._changed:
            return self._spare.pop() if self._spare else None

    def flush(self) -> None:
        """Return once everything submitted so far is committed, so that readers see it."""
        with self._changed:
            target = self._submitted
            self._wait_for(lambda: self._committed >= target)

    def sync(self) -> None:
        """Return once everything submitted so far is durable on disk."""
        with self._changed:
            target = self._sync_target = self._submitted
            self._changed.notify_all()
            self._wait_for(lambda: self._synced >= target)

    def stop(self) -> bool:
        """Commit what is queued and end the thread; say whether it has ended, which a hanging disk can prevent."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout=self._stall_seconds)
        return not self._thread.is_alive()

    def check(self) -> None:
        """Raise `ReplayError` if a write has failed."""
        with self._changed:
            self._raise_failure()

    def _raise_failure(self) -> None:
        if isinstance(self._failure, ReplayError):
            raise self._failure
        if self._failure is not None:
            raise ReplayError(
                f"Writing the replay store in {self._directory} failed: {type(self._failure).__name__}: "
                f"{self._failure}. Free space on that disk, then resume the run: it goes on from its last checkpoint. "
                "Or start it again with --large-file-path on a larger local disk."
            ) from self._failure

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait for `condition`, holding the lock; raise if a write failed or none was committed for `stall_seconds`."""
        committed, since = self._committed, time.monotonic()
        while True:
            self._raise_failure()
            if condition():
                return
            if self._committed != committed:
                committed, since = self._committed, time.monotonic()
            if time.monotonic() - since > self._stall_seconds:
                raise ReplayError(
                    f"The disk under the replay store in {self._directory} has taken no writes for "
                    f"{self._stall_seconds:g} s. Check that disk, or choose another local one with --large-file-path."
                )
            self._changed.wait(timeout=min(_POLL_SECONDS, self._stall_seconds))

    def _run(self) -> None:
        try:
            while self._work():
                pass
        # Whatever it is, the callers are told: a thread that dies unnoticed would leave them waiting.
        except BaseException as error:  # noqa: BLE001
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _work(self) -> bool:
        """Wait for work and do one transaction of it; return False when there will be no more."""
        with self._changed:
            self._changed.wait_for(
                lambda: bool(self._queue) or self._stopping or self._synced < self._sync_target, timeout=_POLL_SECONDS
            )
            batch = self._take()
        if batch:
            self._commit(batch)
        with self._changed:
            self._forget(batch)
            committed = self._committed
            sync = self._synced < self._sync_target <= committed
            more = bool(self._queue) or not self._stopping
        if sync:
            self._environment.sync(True)
            with self._changed:
                self._synced = committed
                self._changed.notify_all()
        return more

    def _take(self) -> list[Write]:
        batch: list[Write] = []
        size = 0
        while self._queue and size < TRANSACTION_BYTES:
            batch.append(self._queue.popleft())
            size += batch[-1].cost
        return batch

    def _commit(self, batch: list[Write]) -> None:
        records = [None if write.payload is None else write.compress(write.payload) for write in batch]
        with self._environment.begin(write=True) as transaction:
            for write, record in zip(batch, records, strict=True):
                if record is None:
                    delete_record(transaction, write.key)
                elif not put_record(transaction, write.key, record, self._piece_bytes):
                    raise ReplayError(
                        f"The replay store in {self._directory} already holds unroll "
                        f"{unroll_numbers([write.key])[0]}, and unrolls never change. Resume the run that the store "
                        "belongs to, or use a fresh directory."
                    )
        fill_up(self._environment, self._directory)

    def _forget(self, batch: list[Write]) -> None:
        for write in batch:
            if self._pending.get(write.key) is write:
                del self._pending[write.key]
            self._backlog -= write.cost
            if write.payload is not None:
                self._spare.append(write.payload)
        self._committed += len(batch)
        self._changed.notify_all()
