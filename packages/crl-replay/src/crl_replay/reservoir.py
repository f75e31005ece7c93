"""Which unrolls of an endless stream to keep, so that what is kept is always a uniform sample of all that came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from crl_core.errors import ReplayError
from crl_replay.arrays import Numbers

__all__ = ["Offer", "Reservoir"]


class Offer(NamedTuple):
    """What becomes of one unroll of the stream.

    Attributes:
        number: its number: how many came before it.
        slot: the slot it takes; None where it is rejected and must not be stored.
        evicted: the number of the unroll that loses that slot, if any.
    """

    number: int
    slot: int | None
    evicted: int | None


class Reservoir:
    """Algorithm R of Vitter, "Random Sampling with a Reservoir" (1985).

    The first `capacity` unrolls are all kept; number t >= capacity is kept with probability capacity / (t + 1), in a
    slot chosen uniformly. So after any number of offers each unroll so far is kept with the same probability. It knows
    numbers only, and decides before anything is compressed.
    """

    def __init__(self, capacity: int, seed: int) -> None:
        """Make an empty reservoir of `capacity` slots. What it keeps and what it samples use two streams of `seed`."""
        if capacity < 1:
            raise ReplayError(
                f"A replay buffer of {capacity} unrolls cannot hold anything. Set a capacity of at least one unroll."
            )
        self.capacity = capacity
        self.count = 0
        self._slots = np.empty(capacity, dtype=np.int64)
        # Two streams, so that how much is sampled does not change what is kept.
        admission, sampling = np.random.SeedSequence(seed).spawn(2)
        self._admission = np.random.Generator(np.random.PCG64(admission))
        self._sampling = np.random.Generator(np.random.PCG64(sampling))

    def offer(self) -> Offer:
        """Decide about the next unroll of the stream."""
        number = self.count
        self.count += 1
        if number < self.capacity:
            self._slots[number] = number
            return Offer(number, slot=number, evicted=None)
        slot = int(self._admission.integers(number + 1))
        if slot >= self.capacity:
            return Offer(number, slot=None, evicted=None)
        evicted = int(self._slots[slot])
        self._slots[slot] = number
        return Offer(number, slot=slot, evicted=evicted)

    def sample(self, n: int) -> Numbers:
        """Return the numbers of `n` kept unrolls, `int64 [n]`, drawn uniformly and independently (with replacement).

        Raises:
            ReplayError: nothing is kept yet.
        """
        if len(self) == 0:
            raise ReplayError("There is nothing to sample: the replay buffer is empty. Add unrolls first.")
        return self._slots[self._sampling.integers(len(self), size=n)]

    def kept(self) -> Numbers:
        """Return the numbers of all kept unrolls, `int64 [len(self)]`, by slot: a copy."""
        return self._slots[: len(self)].copy()

    def __len__(self) -> int:
        """Return how many unrolls are kept."""
        return min(self.count, self.capacity)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later offers and samples depend on, as tensors and plain containers."""
        return {
            "capacity": self.capacity,
            "count": self.count,
            "slots": torch.from_numpy(self.kept()),
            "admission": self._admission.bit_generator.state,
            "sampling": self._sampling.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken.

        Raises:
            ReplayError: that reservoir had another capacity.
        """
        if state["capacity"] != self.capacity:
            raise ReplayError(
                f"The checkpoint's replay buffer holds {state['capacity']:,} unrolls, this one {self.capacity:,}. "
                "A reservoir cannot change its size: resume with the same settings, or start a fresh run."
            )
        self.count = state["count"]
        self._slots[: len(self)] = state["slots"].numpy()
        self._admission.bit_generator.state = state["admission"]
        self._sampling.bit_generator.state = state["sampling"]
