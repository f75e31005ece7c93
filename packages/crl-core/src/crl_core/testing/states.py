"""Comparing what policies hold: state dicts, attributes, metrics, actions."""

from __future__ import annotations

import contextlib
import random
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from crl_core.policy import Policy

__all__ = ["first_difference", "freeze", "global_seeds", "snapshot"]


def first_difference(one: Any, other: Any, where: str = "") -> str:
    """Return where two frozen values differ first, such as `network.bias`; empty where they do not."""
    here = where or "the value"
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return "" if one.shape == other.shape and one.dtype == other.dtype and _same(one, other) else here
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return "" if one.shape == other.shape and one.dtype == other.dtype and _same(one, other) else here
    if type(one) is not type(other):
        return here
    if isinstance(one, Mapping):
        if list(one) != list(other):
            return f"the names in {here}"
        pairs = [(str(key), one[key], other[key]) for key in one]
    elif isinstance(one, (list, tuple)):
        if len(one) != len(other):
            return f"the length of {here}"
        pairs = [(str(index), *pair) for index, pair in enumerate(zip(one, other, strict=True))]
    else:
        return "" if _same(one, other) else here
    found = (first_difference(mine, theirs, f"{where}.{key}".lstrip(".")) for key, mine, theirs in pairs)
    return next(filter(None, found), "")


def _same(one: Any, other: Any) -> bool:
    """Tell whether values are equal, a NaN being equal to another."""
    same = (one == other) | ((one != one) & (other != other))  # noqa: PLR0124  # true of NaN alone
    return bool(same.all()) if isinstance(same, (Tensor, np.ndarray)) else bool(same)


def freeze(value: Any, package: str = "", seen: tuple[int, ...] = ()) -> Any:
    """Return a copy of a value that later changes of it do not reach, out of tensors, arrays, plain values, containers.

    Args:
        value: anything. Of an object whose kind is not known here, only its identity is kept.
        package: objects of classes of this package are looked into.
        seen: the objects that are being looked into, by `id`.
    """
    if id(value) in seen:
        return "seen"
    seen = (*seen, id(value))
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: freeze(item, package, seen) for key, item in value.items()}
    if isinstance(value, (list, tuple, deque)):
        return [freeze(item, package, seen) for item in value]
    if isinstance(value, (bool, int, float, str, bytes, type(None))):
        return value
    return _freeze_object(value, package, seen)


def _freeze_object(value: Any, package: str, seen: tuple[int, ...]) -> Any:
    if isinstance(value, nn.Module):
        return {"state": freeze(value.state_dict()), "training": value.training}
    if isinstance(value, torch.optim.Optimizer):
        return freeze(value.state_dict())
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, np.random.Generator):
        return freeze(value.bit_generator.state)
    if isinstance(value, random.Random):
        return list(value.getstate()[1])
    if package and type(value).__module__.partition(".")[0] == package:
        return freeze(vars(value), package, seen) if hasattr(value, "__dict__") else id(value)
    return id(value)


def snapshot(policy: Policy[Any]) -> dict[str, Any]:
    """Return all that a policy holds, frozen: its `state_dict` and its attributes."""
    package = type(policy).__module__.partition(".")[0]
    return {"state_dict": freeze(policy.state_dict()), "attributes": freeze(vars(policy), package)}


@contextlib.contextmanager
def global_seeds(seed: int) -> Iterator[None]:
    """Seed the global generators of torch, NumPy and Python; put them back afterwards."""
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002  # the global one is meant
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # the global one is meant
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002  # the global one is meant
        random.setstate(before[2])
