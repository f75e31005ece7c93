"""When an evicted unroll may be deleted: not while a checkpoint that could still be resumed refers to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

__all__ = ["Retention"]

KEPT_CHECKPOINTS = 2


class Retention:
    """Evicted unrolls, grouped by the snapshot after which they were evicted.

    A snapshot is what goes into a checkpoint. While snapshot k+1 is being taken, the checkpoints of k and k-1 are on
    disk, and a crash may go back to either. What was evicted before snapshot k-1 is in neither, nor in any later one.
    """

    def __init__(self) -> None:
        """Start with no snapshot taken and nothing evicted."""
        # Oldest first; the last group is being filled.
        self._groups: list[list[int]] = [[]]
        self._count_at_snapshot = 0

    def evict(self, number: int) -> bool:
        """Note that `number` was evicted; return True if it may be deleted at once: no snapshot refers to it."""
        if number >= self._count_at_snapshot:
            return True
        self._groups[-1].append(number)
        return False

    def snapshot(self, count: int) -> list[int]:
        """Note a snapshot taken after `count` unrolls of the stream; return what may be deleted now.

        Two snapshots at the same count refer to the same unrolls and are one here. So a second copy of a state,
        for example in a checkpoint at a task's end, costs no older checkpoint its unrolls.
        """
        if count == self._count_at_snapshot:
            return []
        self._count_at_snapshot = count
        self._groups.append([])
        deletable: list[int] = []
        while len(self._groups) > KEPT_CHECKPOINTS + 1:
            deletable += self._groups.pop(0)
        return deletable

    def state(self) -> list[torch.Tensor]:
        """Return the groups, each `int64 [n]`."""
        return [torch.from_numpy(np.array(group, dtype=np.int64)) for group in self._groups]

    def load(self, groups: Sequence[torch.Tensor], count: int) -> None:
        """Go on from the snapshot that was taken at `count` with these groups."""
        self._groups = [group.tolist() for group in groups]
        self._count_at_snapshot = count
