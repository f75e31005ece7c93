"""A compressed, crash-safe replay store of unrolls.

Public names resolve when first used, so importing this package loads neither torch nor LMDB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crl_core.lazy import lazy_attributes

if TYPE_CHECKING:
    from crl_replay.arrays import Unroll
    from crl_replay.buffer import ReplayBuffer
    from crl_replay.reservoir import Offer, Reservoir
    from crl_replay.schema import Field, UnrollSchema
    from crl_replay.space import ReplayPlan, human_bytes, plan, refuse_network_file_system
    from crl_replay.store import UnrollStore

__all__ = [
    "Field",
    "Offer",
    "ReplayBuffer",
    "ReplayPlan",
    "Reservoir",
    "Unroll",
    "UnrollSchema",
    "UnrollStore",
    "human_bytes",
    "plan",
    "refuse_network_file_system",
]

_MODULES = {
    "Field": "schema",
    "Offer": "reservoir",
    "ReplayBuffer": "buffer",
    "ReplayPlan": "space",
    "Reservoir": "reservoir",
    "Unroll": "arrays",
    "UnrollSchema": "schema",
    "UnrollStore": "store",
    "human_bytes": "space",
    "plan": "space",
    "refuse_network_file_system": "space",
}

__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
