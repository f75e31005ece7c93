"""Compression: one zstd frame per record, in any thread, outside the GIL."""

from __future__ import annotations

import threading

import zstandard

from crl_replay.arrays import Payload

__all__ = ["CodecError", "compress", "decompress"]

CodecError = (zstandard.ZstdError, MemoryError)
"""What `decompress` raises for a damaged record: a damaged length in its header can ask for any amount of memory."""

_LEVEL = 1
# zstandard's objects must not be used by two threads at a time, and are worth keeping.
_of_thread = threading.local()


def compress(payload: Payload) -> bytes:
    """Return `payload` as one frame that carries its length and a checksum."""
    if not hasattr(_of_thread, "compressor"):
        _of_thread.compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    compressor: zstandard.ZstdCompressor = _of_thread.compressor
    return compressor.compress(payload.data)


def decompress(record: bytes) -> bytes:
    """Return what `compress` was given. Raises one of `CodecError` for a damaged record."""
    if not hasattr(_of_thread, "decompressor"):
        _of_thread.decompressor = zstandard.ZstdDecompressor()
    decompressor: zstandard.ZstdDecompressor = _of_thread.decompressor
    return decompressor.decompress(record)
