"""The replay buffer: a uniform sample of all unrolls so far, on disk, that follows a run through crashes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from crl_core.errors import ReplayError
from crl_replay.arrays import Array, Unroll, stack_unrolls
from crl_replay.reservoir import Reservoir
from crl_replay.retention import Retention
from crl_replay.schema import UnrollSchema
from crl_replay.store import UnrollStore

__all__ = ["ReplayBuffer"]

STATE_VERSION = 1


class ReplayBuffer:
    """A reservoir of unrolls over an `UnrollStore`.

        buffer.add(unrolls)                # after each collection, one mapping per unroll
        if len(buffer):
            batch = buffer.sample(32)
        state = buffer.state_dict()        # goes into the checkpoint
        buffer.load_state_dict(state)      # in the resumed process

    The checkpoint that holds `state_dict` is the only commit point. Every unroll that either of the last two states
    refers to stays in the store; going back to one drops what was written after it. So call `state_dict` only for
    checkpoints that are kept.

    The store is made by the first `add` and opened by `load_state_dict`: a buffer that is only constructed touches no
    disk. One thread at a time may use it.
    """

    def __init__(self, directory: str | os.PathLike[str], *, capacity_unrolls: int, seed: int, owner: str = "") -> None:
        """Describe a buffer.

        Args:
            directory: where its store is or will be, on a local disk.
            capacity_unrolls: how many unrolls it keeps.
            seed: of the reservoir's choices and of the sampling.
            owner: the run whose buffer this is; another run's store is refused.

        Raises:
            ReplayError: the capacity is not positive.
        """
        self._directory = Path(directory)
        self._owner = owner
        self._reservoir = Reservoir(capacity_unrolls, seed)
        self._retention = Retention()
        self._store: UnrollStore | None = None
        self._closed = False

    @property
    def capacity(self) -> int:
        """How many unrolls it keeps at most."""
        return self._reservoir.capacity

    @property
    def count(self) -> int:
        """How many unrolls were ever added, kept or not."""
        return self._reservoir.count

    def add(self, unrolls: Sequence[Unroll]) -> int:
        """Offer unrolls to the reservoir and store those it takes; return how many it took.

        Args:
            unrolls: one mapping per unroll, name -> array without the environment axis, or a short string. All unrolls
                have the fields, dtypes and shapes of the first one ever added. Arrays are copied.

        Raises:
            ReplayError: an unroll has another schema, the directory holds another run's store, or writing has failed.
        """
        if not unrolls:
            return 0
        store = self._opened(UnrollSchema.from_example(unrolls[0]))
        # Before the reservoir decides anything, so that a misfit leaves the buffer as it was.
        for unroll in unrolls:
            store.schema.check(unroll)
        taken: dict[int, Unroll] = {}
        deletable: list[int] = []
        for unroll in unrolls:
            offer = self._reservoir.offer()
            if offer.slot is not None:
                taken[offer.number] = unroll
            if offer.evicted is None or taken.pop(offer.evicted, None) is not None:
                continue
            if self._retention.evict(offer.evicted):
                deletable.append(offer.evicted)
        for number, unroll in taken.items():
            store.put(number, unroll)
        store.delete(deletable)
        return len(taken)

    def sample(self, n: int) -> dict[str, Array]:
        """Return `n` unrolls drawn uniformly with replacement, side by side.

        Returns:
            name -> new array. A field put as `[T, ...]` comes back as `[T, n, ...]`, a scalar as `[n]`,
            a string as a NumPy string array `[n]`.

        Raises:
            ReplayError: the buffer is empty, or an unroll cannot be read.
        """
        self._check_open()
        numbers = self._reservoir.sample(n)
        assert self._store is not None  # what the reservoir keeps is in a store
        return stack_unrolls(self._store.iterate(numbers), n)

    def state_dict(self) -> dict[str, Any]:
        """Make everything added durable, then return the state of the buffer as tensors and plain containers.

        Deletes evicted unrolls that neither of the two states before this one refers to.
        """
        self._check_open()
        deletable = self._retention.snapshot(self.count)
        if self._store is not None:
            self._store.delete(deletable)
            self._store.sync()
        return {"version": STATE_VERSION, "reservoir": self._reservoir.state_dict(), "evicted": self._retention.state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to `state`: open its store and delete what was written after it. A failure closes the buffer.

        Raises:
            ReplayError: the state is of another format or capacity, or the store is missing, another run's, or lacks
                unrolls of it.
        """
        self._check_open()
        if state["version"] != STATE_VERSION:
            raise ReplayError(
                f"The checkpoint's replay state has format {state['version']}; this version of crl-replay reads format "
                f"{STATE_VERSION}. Resume with the version that wrote it."
            )
        try:
            self._reservoir.load_state_dict(state["reservoir"])
            self._retention.load(state["evicted"], self.count)
            self._load_store()
        except ReplayError:
            self.close()
            raise

    def bytes_on_disk(self) -> int:
        """Return the size of the store in bytes; 0 before the first `add`."""
        return 0 if self._store is None else self._store.bytes_on_disk()

    def close(self) -> None:
        """Close the store. Idempotent; raises `ReplayError` if a write has failed."""
        self._closed = True
        self._close_store()

    def __len__(self) -> int:
        """Return how many unrolls can be sampled."""
        return len(self._reservoir)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self, schema: UnrollSchema) -> UnrollStore:
        """Return the store, made with `schema` if there is none yet."""
        self._check_open()
        if self._store is None:
            self._store = UnrollStore.create(self._directory, schema, owner=self._owner)
        return self._store

    def _load_store(self) -> None:
        """Bring the store to the state that was just loaded."""
        if self.count == 0:
            # No unroll of a store is referred to, and its schema may be half written: the next `add` makes a new one.
            self._close_store()
            UnrollStore.remove(self._directory)
            return
        if self._store is None:
            self._store = UnrollStore.open(self._directory, owner=self._owner)
        self._store.delete_from(self.count)
        missing = np.setdiff1d(self._reservoir.kept(), self._store.numbers())
        if len(missing):
            raise ReplayError(
                f"The replay store in {self._directory} lacks {len(missing):,} of the {len(self):,} unrolls that the "
                f"checkpoint refers to; the first is {missing[0]}. It lost data, or is an older copy: put the newest "
                "one back, or start again in a fresh directory."
            )

    def _check_open(self) -> None:
        if self._closed:
            raise ReplayError(
                f"The replay buffer in {self._directory} is closed. Make a new one and load a checkpoint's state."
            )

    def _close_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.close()
