"""Image stacks as the bytes that compress well.

A stack of images usually is the stack before it moved on by one image. So only the images that are new are kept, and
one byte per stack that says whether it continues the one before; after a reset all images of a stack are new. This is
lossless for every array, and one that is no sequence of stacks only gains those bytes.

The bytes of a field `uint8 [T, K, ...]`: whether its images are stored time last; T-1 bytes, one for each stack but the
first; the new images one after the other or, time last, all moments of the first pixel, then of the next, and so on.
Time last suits images that hardly move but are full of detail, which zstd finds few repeats in otherwise.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from crl_replay.arrays import Array, Payload

__all__ = ["continuations", "is_stack", "pack_stacks", "packed_bytes", "to_time_last", "unpack_stacks"]


def is_stack(dtype: str, shape: tuple[int, ...]) -> bool:
    """Say whether a field of this dtype and shape may be a sequence of image stacks, `uint8 [T, K, ...]`."""
    return dtype == "|u1" and len(shape) >= 3 and math.prod(shape) > 0


def continuations(stacks: Array) -> npt.NDArray[np.bool_]:
    """Return for each stack but the first whether it is the one before, moved on by one image: `bool [T-1]`."""
    same = stacks[:-1, 1:] == stacks[1:, :-1]
    return np.asarray(same.all(axis=tuple(range(1, stacks.ndim))))


def packed_bytes(shape: tuple[int, ...], continues: npt.NDArray[np.bool_]) -> int:
    """Return how many bytes `pack_stacks` fills."""
    return shape[0] + int(_ends(shape, continues)[-1]) * math.prod(shape[2:])


def pack_stacks(stacks: Array, continues: npt.NDArray[np.bool_], target: Payload) -> None:
    """Write the bytes of `stacks`, time first, into `target`, which has the size that `packed_bytes` says."""
    length, _, *image = stacks.shape
    target[0] = False
    target[1:length] = continues
    images = target[length:].reshape(-1, *image)
    begin = 0
    for stack, end in zip(stacks, _ends(stacks.shape, continues).tolist(), strict=True):
        images[begin:end] = stack[begin - end :]
        begin = end


def unpack_stacks(payload: bytes, offset: int, shape: tuple[int, ...]) -> tuple[Array, int]:
    """Return the stacks whose bytes begin at `offset`, read-only, and where they end.

    Where every stack continues the one before they are a view, in which stacks share images.

    Raises:
        ValueError: the payload is too short.
    """
    length, depth, *image = shape
    header = np.frombuffer(payload, dtype=np.bool_, count=length, offset=offset)
    ends = _ends(shape, header[1:])
    count, pixels = int(ends[-1]), math.prod(image)
    offset += length
    images = np.frombuffer(payload, dtype=np.uint8, count=count * pixels, offset=offset)
    if header[0]:
        images = np.ascontiguousarray(images.reshape(pixels, count).T)
    images = images.reshape(count, *image)
    # Every `depth` images that follow each other.
    stacks: Array = np.ndarray(
        (count - depth + 1, *shape[1:]), np.uint8, buffer=images, strides=(images.strides[0], *images.strides)
    )
    if len(stacks) != length:
        stacks = stacks[ends - depth]
    stacks.flags.writeable = False
    return stacks, offset + count * pixels


def to_time_last(payload: Payload, offset: int, shape: tuple[int, ...]) -> int:
    """Store the images of the stacks whose bytes begin at `offset` time last, in place; return where they end."""
    length, pixels = shape[0], math.prod(shape[2:])
    count = int(_ends(shape, payload[offset + 1 : offset + length].view(np.bool_))[-1])
    payload[offset] = True
    offset += length
    images = payload[offset : offset + count * pixels]
    images[...] = images.reshape(count, pixels).T.ravel()
    return offset + len(images)


def _ends(shape: tuple[int, ...], continues: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return for each stack the number of images up to its end, `int64 [T]`: its own are the last of them."""
    depth = shape[1]
    return depth + np.concatenate([[0], np.cumsum(np.where(continues, 1, depth))])
