"""PPO for crl: proximal policy optimization with clipped objectives (Schulman et al., 2017)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crl_policies_ppo.config import PpoConfig
    from crl_policies_ppo.network import NetworkOutput, PpoNetwork
    from crl_policies_ppo.policy import PpoPolicy, PpoTimestepData

__all__ = ["NetworkOutput", "PpoConfig", "PpoNetwork", "PpoPolicy", "PpoTimestepData"]

_MODULES = {
    "NetworkOutput": "network",
    "PpoConfig": "config",
    "PpoNetwork": "network",
    "PpoPolicy": "policy",
    "PpoTimestepData": "policy",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that discovering the plugin imports no torch."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
