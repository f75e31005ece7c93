from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch

from crl_core.errors import ReplayError
from crl_replay import Reservoir


def _saved(state: dict[str, Any]) -> Any:
    """The state as a checkpoint gives it back."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_the_first_unrolls_are_all_kept_in_order() -> None:
    reservoir = Reservoir(4, seed=0)
    assert [reservoir.offer() for _ in range(4)] == [(number, number, None) for number in range(4)]
    assert reservoir.kept().tolist() == [0, 1, 2, 3]


def test_offers_say_what_happens_to_the_slots() -> None:
    reservoir = Reservoir(5, seed=3)
    slots: dict[int, int] = {}
    for number in range(200):
        offer = reservoir.offer()
        assert offer.number == number
        if offer.slot is None:
            assert offer.evicted is None
        else:
            assert offer.evicted == slots.get(offer.slot)
            slots[offer.slot] = number
        assert reservoir.kept().tolist() == [slots[slot] for slot in sorted(slots)]
    assert len(reservoir) == 5
    assert reservoir.count == 200


def test_every_unroll_is_kept_equally_often() -> None:
    length, capacity, runs = 20, 5, 4000
    included = np.zeros(length)
    for seed in range(runs):
        reservoir = Reservoir(capacity, seed)
        for _ in range(length):
            reservoir.offer()
        included[reservoir.kept()] += 1
    p = capacity / length
    # Inclusions of one run are correlated by -1 / (length - 1), hence the last factor; then this is chi-square.
    statistic = ((included - runs * p) ** 2 / (runs * p * (1 - p))).sum() * (length - 1) / length
    assert statistic < 43.82  # the 99.9 % point of chi-square with 19 degrees of freedom


def test_every_kept_unroll_is_sampled_equally_often() -> None:
    reservoir = Reservoir(50, seed=1)
    for _ in range(300):
        reservoir.offer()
    draws = reservoir.sample(20_000)
    numbers, counts = np.unique(draws, return_counts=True)
    assert set(numbers.tolist()) == set(reservoir.kept().tolist())
    statistic = ((counts - 400) ** 2 / 400).sum()
    assert statistic < 85.35  # the 99.9 % point of chi-square with 49 degrees of freedom


def test_sampling_draws_only_what_is_there_with_replacement() -> None:
    reservoir = Reservoir(100, seed=0)
    reservoir.offer()
    assert reservoir.sample(3).tolist() == [0, 0, 0]
    assert reservoir.sample(0).tolist() == []


def test_the_same_seed_gives_the_same_choices() -> None:
    def choices(seed: int) -> list[Any]:
        reservoir = Reservoir(3, seed)
        return [[reservoir.offer() for _ in range(50)], reservoir.sample(20).tolist()]

    assert choices(5) == choices(5)
    assert choices(5) != choices(6)


def test_what_is_kept_does_not_depend_on_how_much_is_sampled() -> None:
    one, other = Reservoir(3, seed=2), Reservoir(3, seed=2)
    for _ in range(40):
        one.offer()
        other.offer()
        other.sample(7)
    assert one.kept().tolist() == other.kept().tolist()


@pytest.mark.parametrize("count", [0, 2, 8, 50])
def test_a_restored_reservoir_goes_on_the_same_way(count: int) -> None:
    original = Reservoir(8, seed=4)
    for _ in range(count):
        original.offer()
    if count:
        original.sample(5)
    state = _saved(original.state_dict())
    expected = [[original.offer() for _ in range(60)], original.sample(30).tolist(), original.kept().tolist()]
    restored = Reservoir(8, seed=99)
    restored.load_state_dict(state)
    assert [[restored.offer() for _ in range(60)], restored.sample(30).tolist(), restored.kept().tolist()] == expected


def test_another_capacity_is_refused() -> None:
    with pytest.raises(ReplayError, match=r"holds 8 unrolls, this one 1,000"):
        Reservoir(1000, seed=0).load_state_dict(Reservoir(8, seed=0).state_dict())


def test_an_empty_reservoir_cannot_be_sampled() -> None:
    with pytest.raises(ReplayError, match="empty"):
        Reservoir(8, seed=0).sample(1)


def test_a_reservoir_needs_room() -> None:
    with pytest.raises(ReplayError, match="at least one unroll"):
        Reservoir(0, seed=0)
