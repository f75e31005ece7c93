"""IMPALA for crl: V-trace actor-critic (Espeholt et al., 2018) and its pipelined runner."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crl_policies_impala.config import ImpalaConfig
    from crl_policies_impala.network import ImpalaNetwork, NetworkOutput
    from crl_policies_impala.policy import AuxiliaryLoss, ImpalaPolicy, ImpalaTimestepData
    from crl_policies_impala.runner import PipelinedRunner

__all__ = [
    "AuxiliaryLoss",
    "ImpalaConfig",
    "ImpalaNetwork",
    "ImpalaPolicy",
    "ImpalaTimestepData",
    "NetworkOutput",
    "PipelinedRunner",
]

_MODULES = {
    "AuxiliaryLoss": "policy",
    "ImpalaConfig": "config",
    "ImpalaNetwork": "network",
    "ImpalaPolicy": "policy",
    "ImpalaTimestepData": "policy",
    "NetworkOutput": "network",
    "PipelinedRunner": "runner",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that discovering the plugin imports no torch."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
