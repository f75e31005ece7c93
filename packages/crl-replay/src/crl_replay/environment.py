"""Opening the LMDB environment of a store and its schema record, and what to say when that fails."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import lmdb
import numpy as np

from crl_core.errors import ReplayError
from crl_replay.arrays import Numbers
from crl_replay.codec import CodecError, decompress
from crl_replay.pieces import get_record
from crl_replay.schema import UnrollSchema

__all__ = [
    "DATA_FILE",
    "LOCK_FILE",
    "OWNER_KEY",
    "SCHEMA_KEY",
    "UNROLL_PREFIX",
    "check_owner",
    "fill_up",
    "open_environment",
    "read_schema",
    "sync_directory",
    "unroll_key",
    "unroll_numbers",
    "unusable",
]

DATA_FILE = "data.mdb"
LOCK_FILE = "lock.mdb"
# These sort before every unroll's key, so that new unrolls come last.
SCHEMA_KEY = b"schema"
OWNER_KEY = b"owner"
UNROLL_PREFIX = b"u"
_UNROLL_KEY = np.dtype([("prefix", "S1"), ("number", ">i8")])


def unroll_key(number: int) -> bytes:
    """Return the key of the unroll of this number. Keys sort as numbers do."""
    return UNROLL_PREFIX + int(number).to_bytes(8, "big")


def unroll_numbers(keys: Iterable[bytes]) -> Numbers:
    """Return the numbers of the unrolls with these keys, `int64 [n]`."""
    numbers: Numbers = np.frombuffer(b"".join(keys), dtype=_UNROLL_KEY)["number"].astype(np.int64)
    return numbers


def open_environment(directory: Path, map_size: int) -> lmdb.Environment:
    """Open the environment in `directory`, which must exist.

    Raises:
        ReplayError: it cannot be opened.
    """
    try:
        # readahead off: reads are random. metasync off: a power failure may undo the last transactions, which an
        # explicit sync makes good, but can never damage the file.
        environment = lmdb.open(str(directory), map_size=map_size, subdir=True, readahead=False, metasync=False)
    except (lmdb.Error, OSError) as error:
        raise unusable(directory, error) from error
    missing = _missing_bytes(environment, directory)
    if missing > 0:
        environment.close()
        raise ReplayError(
            f"The replay store in {directory} was cut short: {DATA_FILE} lacks its last {missing:,} bytes. Put a whole "
            "copy of it back, or start again in a fresh directory."
        )
    return environment


def fill_up(environment: lmdb.Environment, directory: Path) -> None:
    """Make the file as long as its pages are, after a transaction: LMDB does not write pages that it has just freed.

    So a file that is shorter was cut, which has to be known: reading beyond its end is a signal that kills the process.
    """
    missing = _missing_bytes(environment, directory)
    if missing > 0:
        os.truncate(directory / DATA_FILE, (directory / DATA_FILE).stat().st_size + missing)


def _missing_bytes(environment: lmdb.Environment, directory: Path) -> int:
    length = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    return int(length) - (directory / DATA_FILE).stat().st_size


def read_schema(environment: lmdb.Environment, directory: Path, *, expected: UnrollSchema | None) -> UnrollSchema:
    """Return the schema that the store in `environment` was made with.

    Raises:
        ReplayError: there is none, it cannot be read, or it differs from `expected`.
    """
    try:
        with environment.begin() as transaction:
            record = get_record(transaction.cursor(), SCHEMA_KEY)
        text = None if record is None else decompress(record).decode()
    except (lmdb.Error, UnicodeDecodeError, *CodecError) as error:
        raise unusable(directory, error) from error
    if text is None:
        raise ReplayError(
            f"The LMDB data in {directory} is not a replay store: it has no schema record. Use a fresh directory."
        )
    schema = UnrollSchema.from_json(text, where=directory)
    if expected is not None and (lines := schema.differences(expected)):
        raise ReplayError(
            f"The replay store in {directory} holds other unrolls than this run makes: {'; '.join(lines)}. "
            "Resume with the settings that the store was made with, or use a fresh directory."
        )
    return schema


def check_owner(environment: lmdb.Environment, directory: Path, owner: str) -> None:
    """Check that the store in `environment` is the one that `owner` made.

    Raises:
        ReplayError: another run made it, or its record cannot be read.
    """
    try:
        with environment.begin() as transaction:
            record = get_record(transaction.cursor(), OWNER_KEY)
        found = "" if record is None else decompress(record).decode()
    except (lmdb.Error, UnicodeDecodeError, *CodecError) as error:
        raise unusable(directory, error) from error
    if found != owner:
        raise ReplayError(
            f"The replay store in {directory} belongs to {_named(found)}, and not to {_named(owner)}. Put that run's "
            "own replay directory back, or start it again in a fresh directory."
        )


def _named(owner: str) -> str:
    return f"run {owner}" if owner else "no run"


def sync_directory(directory: Path) -> None:
    """Make the files' own entries in `directory`, and its entry in its parent, as durable as their contents."""
    for folder in (directory, directory.parent):
        # A parent that may be passed through but not read cannot be synced; its entry was there long before.
        with contextlib.suppress(PermissionError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def unusable(directory: Path, error: Exception) -> ReplayError:
    """Return the error for a store that LMDB or the system refuses to use."""
    return ReplayError(
        f"The replay store in {directory} cannot be used: {type(error).__name__}: {error}. Check that the directory is "
        "writable, on a local disk and not in use, or choose another with --large-file-path."
    )
