"""Columns of a `Rollout` as the replay buffer's records, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import torch

from crl_core.rollout import PER_COLUMN, TIME_MAJOR, Rollout

__all__ = ["from_sample", "to_unrolls"]

_EXTRA = "extras."


def to_unrolls(rollout: Rollout) -> list[dict[str, npt.NDArray[Any] | str]]:
    """Return one record per column, whose arrays are views of the rollout."""
    time_major = {name: getattr(rollout, name).numpy() for name in TIME_MAJOR}
    time_major |= {_EXTRA + name: value.numpy() for name, value in rollout.extras.items()}
    per_column = {name: getattr(rollout, name).numpy() for name in PER_COLUMN}
    return [
        {
            **{name: array[:, index] for name, array in time_major.items()},
            **{name: array[index] for name, array in per_column.items()},
            "task_id": rollout.task_id[index],
        }
        for index in range(rollout.num_columns)
    ]


def from_sample(sample: Mapping[str, npt.NDArray[Any]]) -> Rollout:
    """Return sampled records side by side, as the columns of one rollout."""
    tensors = {name: torch.from_numpy(array) for name, array in sample.items() if name != "task_id"}
    return Rollout(
        **{name: tensors[name] for name in (*TIME_MAJOR, *PER_COLUMN)},
        extras={name.removeprefix(_EXTRA): value for name, value in tensors.items() if name.startswith(_EXTRA)},
        task_id=tuple(str(task_id) for task_id in sample["task_id"]),
    )
