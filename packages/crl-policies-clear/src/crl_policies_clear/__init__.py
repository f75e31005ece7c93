"""CLEAR for crl: IMPALA with experience replay and behavioural cloning (Rolnick et al., 2019)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crl_policies_clear.config import ClearConfig
    from crl_policies_clear.policy import ClearPolicy

__all__ = ["ClearConfig", "ClearPolicy"]

_MODULES = {"ClearConfig": "config", "ClearPolicy": "policy"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that discovering the plugin imports no torch."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
