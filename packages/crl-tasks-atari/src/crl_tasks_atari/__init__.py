"""Atari tasks and experiments. Public names load when they are first used, as they need the emulator."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crl_tasks_atari.task import AtariTask

__all__ = ["AtariTask"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("crl_tasks_atari.task"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
