"""What policies hold is compared by value: arrays, NumPy's numbers and NaN as well."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from crl_core.testing.states import first_difference, freeze

NAN = float("nan")


def state(mean: Any, *, count: int = 3) -> dict[str, Any]:
    return {"statistics": {"mean": mean, "count": count}, "weights": torch.tensor([1.0, NAN])}


@pytest.mark.parametrize("mean", [1.5, NAN, np.float32(0.1), np.array([1.0, NAN]), torch.tensor([NAN]), None, "none"])
def test_what_is_equal_is_no_difference(mean: Any) -> None:
    assert first_difference(freeze(state(mean)), freeze(state(mean))) == ""


@pytest.mark.parametrize(
    ("mean", "other"),
    [
        (1.5, NAN),
        (np.float32(0.1), np.float32(0.2)),
        (np.array([1.0, NAN]), np.array([NAN, 1.0])),
        (np.zeros(2, np.float32), np.zeros(2, np.float64)),
        (np.zeros(2), np.zeros(3)),
        (torch.zeros(2), torch.tensor([0.0, NAN])),
        (None, 0),
    ],
)
def test_a_difference_is_told_by_its_name(mean: Any, other: Any) -> None:
    assert first_difference(freeze(state(mean)), freeze(state(other))) == "statistics.mean"


def test_a_frozen_array_does_not_change_with_its_origin() -> None:
    array = np.zeros(3)
    frozen = freeze(array)
    array += 1

    assert first_difference(frozen, freeze(array)) == "the value"
