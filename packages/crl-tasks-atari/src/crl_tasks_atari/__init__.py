"""Atari tasks and experiments. Public names load when they are first used, as they need the emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crl_core.lazy import lazy_attributes

if TYPE_CHECKING:
    from crl_tasks_atari.task import AtariTask

__all__ = ["AtariTask"]

__getattr__, __dir__ = lazy_attributes(__name__, {"AtariTask": "task"})
