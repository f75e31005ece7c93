"""`TensorBoardObserver`: the figures of a run as TensorBoard scalars, on one axis of training steps.

TensorBoard's own writer has a thread, in which a full disk is a traceback beside the run's message, and cannot be cut
back to a checkpoint. So the events are written here, one file for each session of the run.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from crl_core.observers.base import Moment, Observer

__all__ = ["TensorBoardObserver"]

_PREFIX = "events.out.tfevents."  # by which TensorBoard knows its files


class TensorBoardObserver(Observer):
    """Writes scalars by name: `train_reward/<task>`, `eval_reward/<task>`, losses and speeds; films, `video/<task>`."""

    def __init__(self, directory: Path, *, cut_to: Mapping[str, int] | None = None, purge_after: int = -1) -> None:
        """Write events into a new file in a run directory.

        Args:
            directory: the run directory.
            cut_to: for a run that goes on from a checkpoint, how many bytes of each earlier file belong to it; files
                that are not named are deleted. What was logged after it is logged again.
            purge_after: the checkpoint's step; a TensorBoard that watches forgets what it has read beyond that.
        """
        self._earlier: dict[str, int] = {}
        for path in sorted(directory.glob(f"{_PREFIX}*")) if cut_to is not None else ():
            self._cut(path, (cut_to or {}).get(path.name, 0))
        name = f"{_PREFIX}{int(time.time()):010}.{socket.gethostname()}.{os.getpid()}.{len(self._earlier)}"
        self._file = (directory / name).open("ab")
        self._records = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")
        if cut_to is not None:
            self._write(step=purge_after + 1, session_log=SessionLog(status=SessionLog.START))

    def metrics(self, at: Moment, values: Mapping[str, float]) -> None:
        """Write scalars."""
        scalars = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(step=at.step, summary=Summary(value=scalars))

    def timings(self, at: Moment, values: Mapping[str, float]) -> None:
        """Write scalars."""
        self.metrics(at, {f"timing/{name}": value for name, value in values.items()})

    def filmed(self, at: Moment, video: Path) -> None:
        """Write the GIF as an image, which TensorBoard shows moving."""
        image = Summary.Image(encoded_image_string=video.read_bytes())
        self._write(step=at.step, summary=Summary(value=[Summary.Value(tag=f"video/{at.task}", image=image)]))

    def flush(self) -> dict[str, int]:
        """Bring the events onto the disk; return the lengths of the earlier files, too."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return {**self._earlier, Path(self._file.name).name: self._file.tell()}

    def close(self) -> None:
        """Close the event file."""
        self._file.close()

    def _cut(self, path: Path, length: int) -> None:
        if length == 0:
            path.unlink()
            return
        with path.open("ab") as file:
            self._earlier[path.name] = file.truncate(min(length, file.tell()))

    def _write(self, **fields: Any) -> None:
        self._records.write(Event(wall_time=time.time(), **fields).SerializeToString())
        self._file.flush()  # so that who watches sees it
