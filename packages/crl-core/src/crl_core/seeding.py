"""Where every random stream of a run comes from: one `SeedSequence` per use, derived from the run's one seed."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

__all__ = ["Purpose", "child_sequences", "environment_seeds", "seed_sequence", "torch_seed"]


class Purpose(IntEnum):
    """What a random stream is for; streams of different purpose never meet. A run depends on these numbers."""

    POLICY = 0
    TRAINING = 1
    EVALUATION = 2
    AFTERWARDS = 3  # evaluations and films of a checkpoint
    FILM = 4  # films during training


def seed_sequence(
    seed: int, purpose: Purpose, *, cycle: int = 0, task: int = 0, segment: int = 0
) -> np.random.SeedSequence:
    """Return the seed sequence of one use.

    Args:
        seed: the run's seed.
        purpose: what the stream is for.
        cycle: the walk through the tasks.
        task: the task's index.
        segment: counts the uses within a task: one per start or resume of training, one per evaluation.
    """
    return np.random.SeedSequence([seed, int(purpose), cycle, task, segment])


def child_sequences(sequence: np.random.SeedSequence, count: int) -> list[np.random.SeedSequence]:
    """Return one seed sequence for each of the threads or processes that share a use; the same ones at every call."""
    key = (*sequence.spawn_key, 1)  # torch_seed's child has the key 0
    return [np.random.SeedSequence(sequence.entropy, spawn_key=(*key, index)) for index in range(count)]


def environment_seeds(sequence: np.random.SeedSequence, num_envs: int) -> npt.NDArray[np.int32]:
    """Return one seed per environment, `int32 [num_envs]`, none negative.

    An array, because a single integer makes vector environments seed consecutively: runs seeded 0 and 1 would then
    share all but one of their streams.
    """
    return (sequence.generate_state(num_envs, np.uint32) >> np.uint32(1)).astype(np.int32)


def torch_seed(sequence: np.random.SeedSequence) -> int:
    """Return a seed for a `torch.Generator`, from a stream apart from the environments' seeds."""
    child = np.random.SeedSequence(sequence.entropy, spawn_key=(*sequence.spawn_key, 0))
    return int(child.generate_state(1, np.uint64)[0] >> np.uint64(1))
