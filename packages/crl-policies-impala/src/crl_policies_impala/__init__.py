"""IMPALA for crl: V-trace actor-critic (Espeholt et al., 2018) and its pipelined runner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crl_core.lazy import lazy_attributes

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

__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
