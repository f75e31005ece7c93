"""Checkpoints: written whole or not at all.

A checkpoint is a directory with `policy.pt`, tensors and plain containers that load with `weights_only=True`, and
`state.json`, the rest. It is written under a temporary name, brought onto the disk and renamed, so that a directory
with a final name is complete whatever happened.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np  # noqa: F401  # before torch, whose own import of it swallows a Ctrl-C and goes on with half of it
import torch

from crl_core.errors import CheckpointError, RunDirectoryError

__all__ = [
    "Checkpoint",
    "first_non_finite",
    "load_checkpoint",
    "resumable_checkpoints",
    "save_checkpoint",
    "set_aside",
    "write_durably",
]

_KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds: the policy's state, and the rest as plain data."""

    policy: Mapping[str, Any]
    state: Mapping[str, Any]


def save_checkpoint(directory: Path, name: str, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint and, if its name is a number of steps, delete all resumable ones but the last two.

    Args:
        directory: the run's `checkpoints` directory.
        name: the total steps for one to resume from, else another name, which is never deleted.
        checkpoint: what to write.

    Returns:
        Where it was written.

    Raises:
        RunDirectoryError: it cannot be written, for example because the disk is full.
    """
    final = directory / name
    unfinished = directory / f".{name}.unfinished"
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()  # not its parents: a run directory that was deleted is not to be made again
        with (unfinished / "policy.pt").open("wb") as file:
            torch.save(dict(checkpoint.policy), file)
            file.flush()
            os.fsync(file.fileno())
        write_durably(unfinished / "state.json", json.dumps(checkpoint.state, indent=1))
        if final.exists():  # the same step again, after a resume: nothing of it may mix with the new one
            _remove(final)
        unfinished.rename(final)
        _sync_directory(directory)
    except (OSError, RuntimeError) as error:  # torch raises either when a disk is full
        shutil.rmtree(unfinished, ignore_errors=True)
        if not directory.is_dir():
            raise RunDirectoryError(
                f"the checkpoint {final} cannot be written: {directory} was deleted or moved. Put it back and resume "
                "the run, or start it again."
            ) from error
        raise RunDirectoryError(
            f"the checkpoint {final} cannot be written: {error}. The last complete one is still there; make room "
            "or mend the disk, then resume the run."
        ) from error
    for old in resumable_checkpoints(directory)[_KEPT:]:
        with contextlib.suppress(OSError):
            _remove(old)
    return final


def first_non_finite(state: object, name: str = "") -> str | None:
    """Return the dotted name of the first tensor or number in a state that is not finite; None where all are."""
    if isinstance(state, torch.Tensor):
        finite = not state.is_floating_point() or bool(torch.isfinite(state).all())
        return None if finite else name
    if isinstance(state, float):
        return None if math.isfinite(state) else name
    if isinstance(state, Mapping):
        parts = list(state.items())
    elif isinstance(state, (list, tuple)):
        parts = list(enumerate(state))
    else:
        return None
    found = (first_non_finite(part, f"{name}.{key}" if name else str(key)) for key, part in parts)
    return next((each for each in found if each is not None), None)


def resumable_checkpoints(directory: Path) -> list[Path]:
    """Return the complete checkpoints to resume from, the newest first."""
    found = [path for path in directory.iterdir() if path.name.isdigit()] if directory.is_dir() else []
    return sorted(found, key=lambda path: int(path.name), reverse=True)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, all tensors on the CPU; networks and optimizers move them to where they are.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    try:
        policy = torch.load(path / "policy.pt", map_location="cpu", weights_only=True)
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    except Exception as error:
        raise CheckpointError(f"the checkpoint {path} cannot be read: {type(error).__name__}: {error}") from error
    return Checkpoint(policy, state)


def set_aside(path: Path) -> Path:
    """Give a damaged checkpoint a name that nothing resumes from; return where it is then."""
    aside = path.with_name(f"damaged-{path.name}")
    shutil.rmtree(aside, ignore_errors=True)
    return path.rename(aside)


def write_durably(path: Path, text: str) -> None:
    """Write a file so that it is, at any moment, either the old or the new one, and on the disk when this returns."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
    _sync_directory(path.parent)


def _remove(checkpoint: Path) -> None:
    """Delete a checkpoint; it loses its name first, so that one with a name is complete even in the midst of this."""
    doomed = checkpoint.with_name(f".{checkpoint.name}.deleted")
    shutil.rmtree(doomed, ignore_errors=True)
    checkpoint.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
