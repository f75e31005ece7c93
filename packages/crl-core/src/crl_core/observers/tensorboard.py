"""`TensorBoardObserver`: the figures of a run as TensorBoard scalars, on one axis of training steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from crl_core.observers.base import Moment, Observer

__all__ = ["TensorBoardObserver"]


class TensorBoardObserver(Observer):
    """Writes scalars by name: `train_reward/<task>`, `eval_reward/<task>`, losses and speeds."""

    def __init__(self, directory: Path, *, purge_after: int | None = None) -> None:
        """Write events into a run directory.

        Args:
            directory: the run directory.
            purge_after: hide what an earlier process logged after this step; None when nothing was.
        """
        purge_step = None if purge_after is None else purge_after + 1
        self._writer = SummaryWriter(str(directory), purge_step=purge_step)

    def metrics(self, at: Moment, values: Mapping[str, float]) -> None:
        """Write scalars."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, at.step)

    def timings(self, at: Moment, values: Mapping[str, float]) -> None:
        """Write scalars."""
        self.metrics(at, {f"timing/{name}": value for name, value in values.items()})

    def flush(self) -> dict[str, int]:
        """Bring the events onto the disk."""
        self._writer.flush()
        return {}

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()
