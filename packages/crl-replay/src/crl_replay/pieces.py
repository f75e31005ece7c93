"""How a record lies in LMDB: in pieces that each fill one page.

LMDB gives a value that is too long for a page of its tree whole pages of its own, which must lie side by side. Records
of many sizes that come and go would leave gaps that fit none of them. Pieces of exactly one page fit into any gap, and
only the last piece of a record is shorter.

A piece's key is the record's key and the piece's index, so that the pieces of a record follow each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import lmdb

__all__ = ["delete_record", "get_record", "piece_bytes", "put_record", "record_keys"]

_PAGE_HEADER_BYTES = 16
_INDEX_BYTES = 4
_FIRST = bytes(_INDEX_BYTES)


def piece_bytes(environment: lmdb.Environment) -> int:
    """Return the size of the pieces in `environment`. Only writing depends on it."""
    return int(environment.stat()["psize"]) - _PAGE_HEADER_BYTES


def put_record(transaction: lmdb.Transaction, key: bytes, record: bytes, size: int) -> bool:
    """Store `record` under `key` in pieces of `size` bytes; return False, having changed nothing, if there is one."""
    view = memoryview(record)
    for index, start in enumerate(range(0, len(record), size)):
        piece_key, piece = key + index.to_bytes(_INDEX_BYTES, "big"), view[start : start + size]
        # Appending fills the pages of the tree. It is refused unless the key is the largest, which it nearly always is.
        if not (transaction.put(piece_key, piece, append=True) or transaction.put(piece_key, piece, overwrite=False)):
            return False
    return True


def get_record(cursor: lmdb.Cursor, key: bytes) -> bytes | None:
    """Return the record under `key`, or None where there is none. A missing piece is left to the record's checksum."""
    if not cursor.set_range(key):
        return None
    pieces = [piece for _, piece in itertools.takewhile(lambda item: _record_key(item[0]) == key, cursor.iternext())]
    return b"".join(pieces) if pieces else None


def delete_record(transaction: lmdb.Transaction, key: bytes) -> None:
    """Delete the record under `key`, if there is one."""
    with transaction.cursor() as cursor:
        found = cursor.set_range(key)
        while found and _record_key(cursor.key()) == key:
            found = cursor.delete()


def record_keys(cursor: lmdb.Cursor, first: bytes) -> Iterator[bytes]:
    """Yield the keys of all records from the key `first` on, in order."""
    if cursor.set_range(first):
        for key in map(bytes, cursor.iternext(values=False)):
            if key.endswith(_FIRST):
                yield _record_key(key)


def _record_key(piece_key: bytes | memoryview) -> bytes:
    return bytes(piece_key[:-_INDEX_BYTES])
