"""Compression: one zstd frame per record, in any thread, outside the GIL."""

from __future__ import annotations

import threading

import zstandard

from crl_replay.arrays import Payload

__all__ = ["CodecError", "compress", "decompress"]

CodecError = (zstandard.ZstdError, MemoryError)
"""What `decompress` raises for a damaged record: a damaged length in its header can ask for any amount of memory."""

LEVEL = 1
# zstandard's objects must not be used by two threads at a time, and are worth keeping.
_of_thread = threading.local()


def compress(payload: Payload, level: int = LEVEL) -> bytes:
    """Return `payload` as one frame that carries its length and a checksum. Higher levels take longer."""
    compressors: dict[int, zstandard.ZstdCompressor] = _of_thread.__dict__.setdefault("compressors", {})
    if level not in compressors:
        compressors[level] = zstandard.ZstdCompressor(level=level, write_checksum=True)
    return compressors[level].compress(payload.data)


def decompress(record: bytes) -> bytes:
    """Return what `compress` was given. Raises one of `CodecError` for a damaged record."""
    if not hasattr(_of_thread, "decompressor"):
        _of_thread.decompressor = zstandard.ZstdDecompressor()
    decompressor: zstandard.ZstdDecompressor = _of_thread.decompressor
    return decompressor.decompress(record)
