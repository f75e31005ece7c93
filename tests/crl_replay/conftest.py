"""Small unrolls that know their own number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from crl_replay import Unroll

STEPS = 3


def _make_unroll(number: int, version: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng([number, version])
    return {
        "observations": rng.integers(0, 256, size=(STEPS + 1, 2, 4, 4), dtype=np.uint8),
        "actions": np.full(STEPS, number, dtype=np.int64),
        "rewards": rng.normal(size=STEPS).astype(np.float32),
        "valid": rng.integers(0, 2, size=STEPS).astype(np.bool_),
        "policy_logits": rng.normal(size=(STEPS, 5)).astype(np.float32),
        "num_actions": np.array(number, dtype=np.int64),
        "task_id": f"tâche-{number % 12}",
    }


def _assert_same(actual: Mapping[str, Any], expected: Unroll) -> None:
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], np.asarray(value))
        if not isinstance(value, str):
            assert (actual[name].dtype, actual[name].shape) == (value.dtype, value.shape), name


@pytest.fixture(scope="session")
def make_unroll() -> Callable[..., dict[str, Any]]:
    """A function that makes an unroll of 3 steps whose every value depends on its number (and version)."""
    return _make_unroll


@pytest.fixture(scope="session")
def assert_same() -> Callable[[Mapping[str, Any], Unroll], None]:
    """A function that asserts that an unroll came back as it was put."""
    return _assert_same
