"""`JsonlObserver`: every figure of a run as one line of JSON, in metrics.jsonl and timing.jsonl."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from crl_core.observers.base import Moment, Observer
from crl_core.schedule import Visit

__all__ = ["JsonlObserver"]


class JsonlObserver(Observer):
    """Writes rows `{"step", "cycle", "task", "name", "value"}`.

    What the same seed gives again goes to metrics.jsonl, so that the files of two such runs are equal byte for byte;
    the rest goes to timing.jsonl.
    """

    def __init__(self, directory: Path, *, cut_to: Mapping[str, int] | None = None) -> None:
        """Append to the two files in a run directory.

        Args:
            directory: the run directory.
            cut_to: for a run that goes on from a checkpoint, how many bytes of each file belong to it; none of a file
                that is not named. What was logged after it is logged again.
        """
        self._metrics = (directory / "metrics.jsonl").open("a", encoding="utf-8")
        self._timing = (directory / "timing.jsonl").open("a", encoding="utf-8")
        if cut_to is not None:
            for file in (self._metrics, self._timing):
                file.truncate(min(cut_to.get(Path(file.name).name, 0), file.tell()))
                file.seek(0, os.SEEK_END)  # where it stood, `flush` would tell the length before the cut

    def task_started(self, visit: Visit, at: Moment) -> None:
        """Log where training on a task truly began."""
        if visit.is_new:
            _write(self._metrics, at, {"task_start": at.task})

    def task_ended(self, visit: Visit, at: Moment) -> None:
        """Log where training on a task truly ended."""
        _write(self._metrics, at, {"task_end": at.task})

    def metrics(self, at: Moment, values: Mapping[str, float]) -> None:
        """Log to metrics.jsonl."""
        _write(self._metrics, at, values)

    def timings(self, at: Moment, values: Mapping[str, float]) -> None:
        """Log to timing.jsonl."""
        _write(self._timing, at, values)

    def flush(self) -> dict[str, int]:
        """Bring both files onto the disk."""
        lengths = {}
        for file in (self._metrics, self._timing):
            file.flush()
            os.fsync(file.fileno())
            lengths[Path(file.name).name] = file.tell()
        return lengths

    def close(self) -> None:
        """Close both files."""
        with contextlib.ExitStack() as both:  # the second too, where the disk has no room for the rest of the first
            both.callback(self._metrics.close)
            both.callback(self._timing.close)


def _write(file: TextIO, at: Moment, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        row = {"step": at.step, "cycle": at.cycle, "task": at.task, "name": name, "value": value}
        file.write(json.dumps(row) + "\n")
    file.flush()  # so that whoever follows the file sees whole rows, and a kill loses none
