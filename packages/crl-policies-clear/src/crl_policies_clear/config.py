"""CLEAR's settings. No torch here: `crl run --policy clear --help` imports this file."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from crl_policies_impala.config import ImpalaConfig
from crl_policies_impala.config import atari_preset as impala_atari_preset
from crl_policies_impala.config import minatar_preset as impala_minatar_preset

__all__ = ["ClearConfig", "atari_preset", "minatar_preset"]


class ClearConfig(ImpalaConfig):
    """IMPALA's settings and CLEAR's own; names and defaults are those of the CORA baselines (Powers et al., 2022)."""

    ignored_settings: ClassVar[dict[str, str]] = {
        **ImpalaConfig.ignored_settings,
        "always_reuse_actor_indices": "one buffer holds what all environments played",
        "policy_unique_id": "every run has a replay directory of its own",
        "torch_multiprocessing_sharing_strategy": "nothing is shared between processes here",
    }

    num_actors: int = Field(8, ge=1, description="Environments to collect from.")
    replay_buffer_frames: int = Field(
        100_000_000, ge=1, description="Steps the replay buffer keeps. Too many for the disk are cut down unless set."
    )
    batch_replay_ratio: float = Field(1.0, ge=0, description="Replayed unrolls for each new one in a learner batch.")
    policy_cloning_cost: float = Field(0.01, ge=0, description="Weight of KL(stored policy || current policy).")
    value_cloning_cost: float = Field(0.005, ge=0, description="Weight of (current value - stored value)^2.")
    large_file_path: str | None = Field(
        None, description="Directory on a local disk for the replay buffer. [the run directory]"
    )


def atari_preset() -> dict[str, Any]:
    """Return the CORA settings for Atari, but for the path of the replay buffer."""
    return {**impala_atari_preset(), "replay_buffer_frames": 25_000_000}


def minatar_preset() -> dict[str, Any]:
    """Return settings for MinAtar's games: IMPALA's, and room for half of the steps of three games in two cycles."""
    return {**impala_minatar_preset(), "replay_buffer_frames": 900_000}
