"""Every stream of random numbers of a run is its own."""

from __future__ import annotations

import numpy as np

from crl_core.seeding import Purpose, environment_seeds, seed_sequence, torch_seed


def test_no_two_uses_share_an_environment_seed() -> None:
    uses = [
        {"seed": seed, "purpose": purpose, "cycle": cycle, "task": task, "segment": segment}
        for seed in (0, 1, 2, 2**32, 2**32 + 1, 2**63 - 1)
        for purpose in Purpose
        for cycle in range(2)
        for task in range(3)
        for segment in range(4)
    ]
    seeds = np.concatenate([environment_seeds(seed_sequence(**use), 10) for use in uses])  # type: ignore[arg-type]
    assert len(seeds) == 7200
    assert len(set(seeds.tolist())) == len(seeds)


def test_environment_seeds_are_an_array_of_int32_none_negative() -> None:
    seeds = environment_seeds(seed_sequence(0, Purpose.TRAINING), 10_000)
    assert (seeds.dtype, seeds.shape) == (np.int32, (10_000,))
    assert seeds.min() >= 0
    assert seeds.max() > 2**30  # the whole range is used


def test_more_environments_begin_with_the_same_seeds() -> None:
    sequence = seed_sequence(3, Purpose.EVALUATION, task=1)
    assert environment_seeds(sequence, 8)[:5].tolist() == environment_seeds(sequence, 5).tolist()


def test_neighbouring_environments_are_not_seeded_consecutively() -> None:
    seeds = environment_seeds(seed_sequence(0, Purpose.TRAINING), 100).astype(np.int64)
    assert (np.abs(np.diff(seeds)) > 1).all()


def test_a_torch_seed_depends_on_the_sequence_alone() -> None:
    sequence = seed_sequence(5, Purpose.POLICY)
    first = torch_seed(sequence)
    sequence.spawn(3)
    environment_seeds(sequence, 4)
    assert torch_seed(sequence) == first == torch_seed(seed_sequence(5, Purpose.POLICY))
    assert 0 <= first < 2**63


def test_torch_seeds_differ_by_use_and_from_the_environments_seeds() -> None:
    sequences = [
        seed_sequence(seed, purpose, task=task) for seed in range(50) for purpose in Purpose for task in range(4)
    ]
    seeds = [torch_seed(sequence) for sequence in sequences]
    assert len(set(seeds)) == len(seeds)
    own = sequences[0].generate_state(1, np.uint64)[0] >> np.uint64(1)
    assert seeds[0] != own
