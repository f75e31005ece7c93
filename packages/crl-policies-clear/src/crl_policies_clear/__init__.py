"""CLEAR for crl: IMPALA with experience replay and behavioural cloning (Rolnick et al., 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crl_core.lazy import lazy_attributes

if TYPE_CHECKING:
    from crl_policies_clear.config import ClearConfig
    from crl_policies_clear.policy import ClearPolicy

__all__ = ["ClearConfig", "ClearPolicy"]

_MODULES = {"ClearConfig": "config", "ClearPolicy": "policy"}

__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
