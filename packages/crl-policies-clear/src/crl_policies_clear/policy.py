"""`ClearPolicy`: IMPALA whose learner batches also hold replayed unrolls, with cloning losses on those."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np

from crl_core.cores import usable_cores
from crl_core.errors import ReplayError
from crl_core.policy import TrainingProgress, Workspace
from crl_core.rollout import Rollout
from crl_policies_clear.config import ClearConfig
from crl_policies_clear.loss import policy_cloning_loss, value_cloning_loss
from crl_policies_clear.unrolls import from_sample, to_unrolls
from crl_policies_impala.network import NetworkOutput
from crl_policies_impala.policy import AuxiliaryLoss, ImpalaPolicy
from crl_replay.buffer import ReplayBuffer
from crl_replay.space import BYTES_PER_STEP, human_bytes, plan, refuse_network_file_system

__all__ = ["ClearPolicy"]

_log = logging.getLogger(__name__)

_SHARE_OF_FREE_DISK = 0.9  # what a buffer that must be cut down leaves the rest of the run some room with


class ClearPolicy(ImpalaPolicy[ClearConfig]):
    """CLEAR (Rolnick et al., 2019).

    A learner batch is the new unrolls and `batch_replay_ratio` times as many replayed ones, learned from in one pass:
    V-trace on all of them and, on the replayed ones, losses that hold policy and value to what they were when the
    unrolls were played. The buffer is one uniform reservoir of everything played so far, whatever the task.
    """

    training_only: ClassVar[frozenset[str]] = ImpalaPolicy.training_only | {"_replay"}

    def build(self) -> None:
        """Make the network, the optimizer and an empty buffer, which touches no disk yet."""
        super().build()
        self._replay = ReplayBuffer(
            _replay_directory(self.config, self.workspace),
            capacity_unrolls=_capacity_unrolls(self.config),
            seed=self.seed,
            owner=self.workspace.run_id,
        )

    @classmethod
    def prepare(
        cls,
        config: ClearConfig,
        *,
        observation_space: gymnasium.Space[Any],
        total_steps: int,
        directory: Path,
    ) -> ClearConfig:
        """Check that the replay buffer fits on its disk; cut it down if the user has not set its size.

        Raises:
            ReplayError: it does not fit, or its disk is a network file system.
        """
        super().prepare(config, observation_space=observation_space, total_steps=total_steps, directory=directory)
        if config.batch_replay_ratio == 0:
            return config
        if config.large_file_path is not None:  # it may be resumed from another directory
            config = config.model_copy(update={"large_file_path": str(Path(config.large_file_path).absolute())})
        parent = Path(config.large_file_path) if config.large_file_path is not None else directory / "replay"
        refuse_network_file_system(parent)
        space = plan(
            config.replay_buffer_frames, total_steps, parent, bytes_per_step=_bytes_per_step(observation_space)
        )
        _log.info("%s in %s", space, parent)
        if space.fits:
            _warn_of_few_unrolls(config)
            return config
        frames = int(space.steps_that_fit * _SHARE_OF_FREE_DISK)
        if "replay_buffer_frames" in config.model_fields_set or frames < config.batch_size * config.unroll_length:
            raise ReplayError(
                f"--replay-buffer-frames: {space.steps:,} steps of replay take {human_bytes(space.needed_bytes)}, "
                f"but {parent} has {human_bytes(space.free_bytes)} free, room for {space.steps_that_fit:,} steps. "
                "Ask for fewer, or set --large-file-path to a directory on a larger local disk."
            )
        _log.warning(
            "the replay buffer is cut down to %s steps, as its disk has no room for %s; set --replay-buffer-frames or "
            "--large-file-path to choose for yourself",
            f"{frames:,}",
            f"{space.steps:,}",
        )
        config = config.model_copy(update={"replay_buffer_frames": frames})
        _warn_of_few_unrolls(config)
        return config

    def automatic_learner_threads(self) -> int:
        """Return two where runner and cores allow: an update is `1 + batch_replay_ratio` times as large as IMPALA's."""
        overlaps = self.config.learns_while_collecting and self.config.batch_replay_ratio > 0
        return min(2, usable_cores()) if overlaps else 1

    def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
        """Make one update for every `batch_size` new columns; return the means of the losses."""
        metrics = super().train(rollouts, progress=progress)
        return {**metrics, "replay/unrolls": float(len(self._replay))}

    def augment(self, batch: Rollout) -> Rollout:
        """Return the new columns with replayed ones behind them, then offer the new ones to the buffer."""
        if self.config.batch_replay_ratio == 0:
            return batch
        num_replayed = _num_replayed(self.config, batch.num_columns)
        replayed = [from_sample(self._replay.sample(num_replayed))] if len(self._replay) and num_replayed else []
        self._replay.add(to_unrolls(batch))
        return Rollout.concatenate([batch, *replayed])

    def auxiliary_loss(self, batch: Rollout, outputs: NetworkOutput, *, num_new: int) -> AuxiliaryLoss | None:
        """Return the cloning losses of the replayed columns; None while there are none."""
        replayed = slice(num_new, None)
        valid = batch.valid[:, replayed]
        if valid.shape[1] == 0:
            return None
        policy_cloning = self.config.policy_cloning_cost * policy_cloning_loss(
            batch.extras["policy_logits"][:, replayed], outputs.policy_logits[:, replayed], valid
        )
        value_cloning = self.config.value_cloning_cost * value_cloning_loss(
            batch.extras["values"][:, replayed], outputs.values[:, replayed], valid
        )
        return AuxiliaryLoss(
            policy_cloning + value_cloning,
            {"loss/policy_cloning": policy_cloning, "loss/value_cloning": value_cloning},
        )

    def state_dict(self) -> dict[str, Any]:
        """Return IMPALA's state and the buffer's, whose unrolls are on the disk when this returns."""
        return {**super().state_dict(), "replay": self._replay.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state that `state_dict` returned, and go back to it in the buffer's store.

        Raises:
            ReplayError: the store is missing or belongs to another run.
        """
        super().load_state_dict(state)
        self._replay.load_state_dict(state["replay"])

    def shutdown(self) -> None:
        """End the learner's threads and close the buffer's store."""
        super().shutdown()
        self._replay.close()


def _capacity_unrolls(config: ClearConfig) -> int:
    return max(1, config.replay_buffer_frames // config.unroll_length)


def _num_replayed(config: ClearConfig, num_new: int) -> int:
    return round(config.batch_replay_ratio * num_new)


def _warn_of_few_unrolls(config: ClearConfig) -> None:
    num_new = config.batch_size if config.runner_name == "pipelined" else config.num_actors
    capacity, replayed = _capacity_unrolls(config), _num_replayed(config, num_new)
    if capacity < replayed:
        _log.warning(
            "the replay buffer keeps %d x %d steps, fewer than the %d x %d that an update replays; "
            "see --replay-buffer-frames",
            *(capacity, config.unroll_length, replayed, config.unroll_length),
        )


def _replay_directory(config: ClearConfig, workspace: Workspace) -> Path:
    if config.large_file_path is None:
        return workspace.directory / "replay"
    return Path(config.large_file_path) / workspace.run_id


def _bytes_per_step(observation_space: gymnasium.Space[Any]) -> float:
    """Return what a step takes on the disk: as much as on Atari, or less where observations are smaller than that."""
    shape, dtype = observation_space.shape or (), observation_space.dtype or np.dtype(np.float32)
    other_fields = 150
    return min(BYTES_PER_STEP, 2.0 * (math.prod(shape) * dtype.itemsize + other_fields))
