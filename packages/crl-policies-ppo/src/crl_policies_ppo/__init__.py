"""PPO for crl: proximal policy optimization with clipped objectives (Schulman et al., 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crl_core.lazy import lazy_attributes

if TYPE_CHECKING:
    from crl_policies_ppo.config import PpoConfig
    from crl_policies_ppo.network import NetworkOutput, PpoNetwork
    from crl_policies_ppo.policy import ContinuousTimestepData, PpoPolicy, PpoTimestepData

__all__ = ["ContinuousTimestepData", "NetworkOutput", "PpoConfig", "PpoNetwork", "PpoPolicy", "PpoTimestepData"]

_MODULES = {
    "ContinuousTimestepData": "policy",
    "NetworkOutput": "network",
    "PpoConfig": "config",
    "PpoNetwork": "network",
    "PpoPolicy": "policy",
    "PpoTimestepData": "policy",
}

__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
