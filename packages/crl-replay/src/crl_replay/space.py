"""Whether a replay buffer will fit where it is to live, asked before the run starts. Creates nothing."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from crl_core.errors import ReplayError

__all__ = ["BYTES_PER_STEP", "ReplayPlan", "human_bytes", "plan", "refuse_network_file_system"]

BYTES_PER_STEP = 860 * 1.1
"""Disk bytes for each Atari step: the game of the six that takes most (krull: 860, after random replacement and with
all that LMDB adds; the others take 230 to 450, by `benchmarks/replay_size.py`), and a margin."""

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")
# As the kernel or, after "fuse.", a FUSE file system names itself.
_NETWORK_FILE_SYSTEMS = frozenset(
    (
        *("afpfs", "afs", "cifs", "davfs", "ncpfs", "nfs", "nfs3", "nfs4", "smb", "smb2", "smb3", "smbfs", "webdav"),
        *("beegfs", "ceph", "fhgfs", "glusterfs", "gpfs", "lustre", "mfs", "orangefs", "panfs", "pvfs2", "wekafs"),
        *("ceph-fuse", "cephfs", "gcsfuse", "geesefs", "goofys", "juicefs", "rclone", "s3fs", "sshfs"),
    )
)


@dataclass(frozen=True)
class ReplayPlan:
    """What a replay buffer will need and what there is, in bytes.

    Attributes:
        steps: how many steps it will hold at most.
        needed_bytes: the disk space these will take.
        free_bytes: the space there is for it.
        bytes_per_step: what one step takes.
    """

    steps: int
    needed_bytes: int
    free_bytes: int
    bytes_per_step: float

    @property
    def fits(self) -> bool:
        """Whether there is room for all steps."""
        return self.needed_bytes <= self.free_bytes

    @property
    def steps_that_fit(self) -> int:
        """How many of the steps there is room for."""
        return min(self.steps, int(self.free_bytes / self.bytes_per_step))

    def __str__(self) -> str:
        needed, free = human_bytes(self.needed_bytes), human_bytes(self.free_bytes)
        return f"replay of {self.steps:,} steps: about {needed}, {free} free"


def plan(
    replay_steps: int, total_steps: int, directory: str | os.PathLike[str], *, bytes_per_step: float = BYTES_PER_STEP
) -> ReplayPlan:
    """Compare what a buffer will take with the free space of the disk it is to live on.

    Args:
        replay_steps: the buffer's capacity in steps.
        total_steps: how many steps the run will train for; a buffer never holds more.
        directory: where the store is or will be. What a store there takes already counts as free: it is used again.
        bytes_per_step: disk bytes for each step, overhead included.

    Raises:
        ReplayError: the directory cannot be written, or not be made.
    """
    parent = _nearest_existing(Path(directory))
    if not parent.is_dir():
        raise ReplayError(f"The replay directory {directory} cannot be made: {parent} is a file. Choose another path.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ReplayError(
            f"The replay directory {directory} cannot be written: there is no permission to write in {parent}. "
            "Choose another place with --large-file-path."
        )
    steps = min(replay_steps, total_steps)
    data = Path(directory) / "data.mdb"
    free = shutil.disk_usage(parent).free + (data.stat().st_size if data.is_file() else 0)
    return ReplayPlan(
        steps=steps, needed_bytes=int(steps * bytes_per_step), free_bytes=free, bytes_per_step=bytes_per_step
    )


def refuse_network_file_system(directory: str | os.PathLike[str]) -> None:
    """Raise `ReplayError` if `directory` is, or would be, on a network file system.

    LMDB maps its file into memory and locks it; network file systems do not keep either promise, and data is lost.
    """
    path = Path(directory).resolve()
    mounts = [partition for partition in psutil.disk_partitions(all=True) if path.is_relative_to(partition.mountpoint)]
    if not mounts:
        return
    # The longest mount point is the one that counts; of several on one spot, the last one mounted.
    mount = max(enumerate(mounts), key=lambda entry: (len(Path(entry[1].mountpoint).parts), entry[0]))[1]
    kind = mount.fstype.lower()
    if kind.removeprefix("fuse.") in _NETWORK_FILE_SYSTEMS:
        raise ReplayError(
            f"The replay directory {directory} is on a network file system ({kind}, mounted at {mount.mountpoint}), "
            "where the replay store would lose data. Set --large-file-path to a directory on a local disk."
        )


def human_bytes(count: float) -> str:
    """Return a number of bytes as people read it, in powers of 1000: `"13.9 GB"`."""
    # From 999.95 of a unit on, one decimal would round up to 1000.0.
    power = next((power for power in range(len(_UNITS)) if abs(count) < 999.95 * 1000**power), len(_UNITS) - 1)
    return f"{count / 1000**power:.{1 if power else 0}f} {_UNITS[power]}"


def _nearest_existing(path: Path) -> Path:
    try:
        return next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
    except OSError as error:
        raise ReplayError(
            f"The replay directory {path} cannot be used: {error.strerror}. Choose another path."
        ) from error
