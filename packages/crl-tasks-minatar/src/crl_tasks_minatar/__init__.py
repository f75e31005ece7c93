"""MinAtar tasks and experiments. Public names load when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crl_core.lazy import lazy_attributes

if TYPE_CHECKING:
    from crl_tasks_minatar.task import MinAtarTask

__all__ = ["MinAtarTask"]

__getattr__, __dir__ = lazy_attributes(__name__, {"MinAtarTask": "task"})
