"""A directory of unrolls on disk: numbered, immutable, compressed, written in the background."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import lmdb
import numpy as np

from crl_core.errors import ReplayError
from crl_replay.arrays import Array, Numbers, Unroll
from crl_replay.environment import (
    DATA_FILE,
    LOCK_FILE,
    OWNER_KEY,
    SCHEMA_KEY,
    UNROLL_PREFIX,
    check_owner,
    open_environment,
    read_schema,
    sync_directory,
    unroll_key,
    unroll_numbers,
    unusable,
)
from crl_replay.pieces import get_record, record_keys
from crl_replay.schema import UnrollSchema
from crl_replay.writer import Write, Writer

__all__ = ["UnrollStore"]

MAP_SIZE = 1 << 40
STALL_SECONDS = 120.0


class _Found(NamedTuple):
    """An unroll as it was found: packed but not yet written, or a record; no data where there is none."""

    packed: bool
    data: bytes | None


class UnrollStore:
    """Unrolls by number, in one LMDB environment.

    `put` and `delete` return at once: one background thread compresses and commits, and what it has not committed yet
    can be read all the same. A write that fails surfaces as `ReplayError` at the next call of anything. A full backlog
    makes `put` wait; nothing waits for ever. Any thread may read; puts and deletes come from one thread at a time.
    """

    def __init__(self, environment: lmdb.Environment, directory: Path, schema: UnrollSchema, writer: Writer) -> None:
        """Use `UnrollStore.create` or `UnrollStore.open`."""
        self.directory = directory
        self.schema = schema
        self._environment = environment
        self._writer = writer
        self._closed = False

    @classmethod
    def create(
        cls,
        directory: str | os.PathLike[str],
        schema: UnrollSchema,
        *,
        owner: str = "",
        map_size: int = MAP_SIZE,
        stall_seconds: float = STALL_SECONDS,
    ) -> Self:
        """Make a new, empty store.

        Args:
            directory: where; made if missing, with its parents.
            schema: what its unrolls consist of.
            owner: the run whose unrolls these are.
            map_size: the most bytes it may grow to; address space only, no disk is reserved.
            stall_seconds: how long a call waits for a disk that takes no writes before it raises.

        Raises:
            ReplayError: there is a store already, or the directory cannot be written.
        """
        directory = Path(directory)
        if cls.exists(directory):
            raise ReplayError(
                f"{directory} already holds a replay store. Resume the run it belongs to, or use a fresh directory."
            )
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unusable(directory, error) from error
        environment = open_environment(directory, map_size)
        store = cls(environment, directory, schema, Writer(environment, directory, stall_seconds=stall_seconds))
        try:
            store._writer.submit([_text(SCHEMA_KEY, schema.to_json()), _text(OWNER_KEY, owner)])
            store._writer.sync()
        except ReplayError:
            with contextlib.suppress(ReplayError):
                store.close()
            raise
        sync_directory(directory)
        return store

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str],
        schema: UnrollSchema | None = None,
        *,
        owner: str | None = None,
        map_size: int = MAP_SIZE,
        stall_seconds: float = STALL_SECONDS,
    ) -> Self:
        """Open the store in `directory`, creating none.

        Args:
            directory: where it is.
            schema: what the caller will put; None takes the store's own.
            owner: the run that it should belong to; None takes that of any.
            map_size: as in `create`.
            stall_seconds: as in `create`.

        Raises:
            ReplayError: there is none, it is not readable, its schema differs from `schema`, or it is another run's.
        """
        directory = Path(directory)
        if not cls.exists(directory):
            raise ReplayError(
                f"There is no replay store in {directory}. A run cannot resume without the unrolls it has stored: "
                "put its replay directory back, or start it again in a fresh directory."
            )
        environment = open_environment(directory, map_size)
        try:
            own_schema = read_schema(environment, directory, expected=schema)
            if owner is not None:
                check_owner(environment, directory, owner)
        except ReplayError:
            environment.close()
            raise
        return cls(environment, directory, own_schema, Writer(environment, directory, stall_seconds=stall_seconds))

    @staticmethod
    def exists(directory: str | os.PathLike[str]) -> bool:
        """Say whether `directory` holds a store."""
        return (Path(directory) / DATA_FILE).is_file()

    @staticmethod
    def remove(directory: str | os.PathLike[str]) -> None:
        """Delete the store in `directory`, which no one may have open, and nothing else there."""
        for name in (DATA_FILE, LOCK_FILE):
            (Path(directory) / name).unlink(missing_ok=True)

    def put(self, number: int, unroll: Unroll) -> None:
        """Store `unroll`, which is copied, under `number`, which must be free: unrolls never change.

        Raises:
            ReplayError: it does not have the store's schema, or writing has failed, for example because an earlier
                put's number was taken.
        """
        self._check()
        payload = self.schema.pack(unroll, self._writer.memory())
        self._writer.submit([Write(unroll_key(number), payload, self.schema.compress)])

    def delete(self, numbers: Iterable[int]) -> None:
        """Delete the unrolls of these numbers; numbers that are not there are passed over."""
        self._check()
        self._writer.submit([Write(unroll_key(number), None) for number in numbers])

    def delete_from(self, first_number: int) -> int:
        """Delete every unroll numbered `first_number` or higher; return how many there were."""
        numbers = self.numbers()
        late = numbers[np.searchsorted(numbers, first_number) :]
        self.delete(late.tolist())
        return len(late)

    def get(self, number: int) -> dict[str, Array]:
        """Return one unroll: read-only arrays as they were put, strings as `str []` arrays.

        Raises:
            ReplayError: it is not there, or damaged.
        """
        return self.get_many([number])[0]

    def get_many(self, numbers: Sequence[int] | Numbers) -> list[dict[str, Array]]:
        """Return the unrolls of these numbers, `iterate` as a list."""
        return list(self.iterate(numbers))

    def iterate(self, numbers: Sequence[int] | Numbers) -> Iterator[dict[str, Array]]:
        """Yield the unrolls of these numbers in this order, each as `get` does; a number may come more than once.

        All are read at once, so that a later `delete` changes nothing; each is decompressed when its turn comes.
        """
        return map(self._unroll, numbers, self._find(numbers))

    def numbers(self) -> Numbers:
        """Return the numbers of all unrolls, `int64 [len(self)]`, ascending."""
        self._check()
        self._writer.flush()
        with self._lmdb_errors(), self._environment.begin() as transaction, transaction.cursor() as cursor:
            return unroll_numbers(record_keys(cursor, UNROLL_PREFIX))

    def sync(self) -> None:
        """Return once everything put or deleted so far is durable on disk."""
        self._check()
        self._writer.sync()

    def bytes_on_disk(self) -> int:
        """Return the size of the data file in bytes. It never shrinks: pages of deleted unrolls are used again."""
        self._check()
        return (self.directory / DATA_FILE).stat().st_size

    def close(self) -> None:
        """Commit what is still queued and close the files. Idempotent; raises `ReplayError` if a write has failed."""
        if self._closed:
            return
        self._closed = True
        # A writer stuck in a hanging disk still uses the environment; then it is left to the end of the process.
        if self._writer.stop():
            self._environment.close()
        self._writer.check()

    def __len__(self) -> int:
        """Return the number of unrolls, once everything queued is committed."""
        return len(self.numbers())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _check(self) -> None:
        if self._closed:
            raise ReplayError(f"The replay store in {self.directory} is closed. Open it again to use it.")
        self._writer.check()

    def _find(self, numbers: Sequence[int] | Numbers) -> list[_Found]:
        """Return for each number what waits to be written, else what is on disk."""
        self._check()
        keys = [unroll_key(number) for number in numbers]
        # In this order: what is no longer pending by now is seen by a transaction that begins afterwards.
        waiting = [self._writer.pending(key) for key in keys]
        with self._lmdb_errors(), self._environment.begin() as transaction, transaction.cursor() as cursor:
            return [
                _Found(False, get_record(cursor, key)) if pending is None else _Found(True, pending.payload)
                for key, pending in zip(keys, waiting, strict=True)
            ]

    def _unroll(self, number: int, found: _Found) -> dict[str, Array]:
        if found.data is None:
            raise ReplayError(
                f"The replay store in {self.directory} has no unroll {number}. It belongs to another run or lost data: "
                "put the run's own replay directory back, or start again in a fresh directory."
            )
        return self.schema.unpack(found.data, number) if found.packed else self.schema.decode(found.data, number)

    @contextlib.contextmanager
    def _lmdb_errors(self) -> Iterator[None]:
        try:
            yield
        except lmdb.Error as error:
            raise unusable(self.directory, error) from error


def _text(key: bytes, text: str) -> Write:
    return Write(key, np.frombuffer(bytearray(text.encode()), dtype=np.uint8))
