"""The arrays that go in and out, and how unrolls come to lie side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Numbers", "Payload", "Unroll", "stack_unrolls"]

Array: TypeAlias = npt.NDArray[Any]
Payload: TypeAlias = npt.NDArray[np.uint8]
Numbers: TypeAlias = npt.NDArray[np.int64]

Unroll: TypeAlias = Mapping[str, Array | str]
"""One column of a rollout: name -> array without the environment axis (`[T, ...]`, `[T+1, ...]`, `[]`), or a string."""


def stack_unrolls(unrolls: Iterable[Mapping[str, Array]], n: int) -> dict[str, Array]:
    """Return `n` unrolls of one schema side by side in new arrays.

    A field `[T, ...]` becomes `[T, n, ...]`; a scalar or string `[]` becomes `[n]`. The unrolls are taken one at a
    time, so that the memory of one serves for the next: fresh pages cost more than decompression.
    """
    batch: dict[str, Array] = {}
    texts: dict[str, list[str]] = {}
    for index, unroll in enumerate(unrolls):
        for name, value in unroll.items():
            if value.dtype.kind == "U":
                texts.setdefault(name, []).append(str(value))
                continue
            if index == 0:
                batch[name] = np.empty((*value.shape[:1], n, *value.shape[1:]), dtype=value.dtype)
            column = batch[name][:, index] if value.ndim else batch[name][index : index + 1]
            column[...] = value
    return batch | {name: np.array(lines) for name, lines in texts.items()}
