"""Distributions over actions, as a policy head describes them: `Categorical` for Discrete spaces, `Gaussian` for a Box.

Both have the same four methods, so that an algorithm needs to know neither.

Letters in shapes: B rows, A actions of the largest task, *act the shape of one continuous action.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from gymnasium.spaces import Box
from torch import Tensor
from torch.nn import functional

from crl_core.discrete import choose_actions, log_prob

__all__ = ["ActionDistribution", "Categorical", "Gaussian", "clip_to_box"]


class ActionDistribution(Protocol):
    """What is asked of a distribution over the actions of B rows."""

    def sample(self, generator: torch.Generator) -> Tensor:
        """Return one sample for each row, `[B, *act]`, without a gradient."""

    def mode(self) -> Tensor:
        """Return the likeliest of each row, `[B, *act]`."""

    def log_prob(self, samples: Tensor) -> Tensor:
        """Return the log probability, or log density, of `samples [B, *act]`, as float32 `[B]`."""

    def entropy(self) -> Tensor:
        """Return the entropy of each row in nats, float32 `[B]`; that of a density may be negative."""


@dataclass(frozen=True)
class Categorical:
    """Discrete actions.

    Attributes:
        logits: float32 `[B, A]`, masked by `crl_core.discrete.mask_logits` where tasks have fewer actions.
    """

    logits: Tensor

    def sample(self, generator: torch.Generator) -> Tensor:
        """Return int64 `[B]`."""
        return choose_actions(self.logits, greedy=False, generator=generator)

    def mode(self) -> Tensor:
        """Return int64 `[B]`."""
        return self.logits.argmax(dim=1)

    def log_prob(self, samples: Tensor) -> Tensor:
        """Return the log probability of int64 `samples [B]`."""
        return log_prob(self.logits, samples)

    def entropy(self) -> Tensor:
        """Return the entropy `[B]`; masked actions have no part in it."""
        log_policy = functional.log_softmax(self.logits, dim=-1)
        return -(log_policy.exp() * log_policy).sum(dim=-1)


@dataclass(frozen=True)
class Gaussian:
    """Continuous actions, each component independent of the others.

    Attributes:
        means: float32 `[B, *act]`.
        log_stds: float32, log standard deviations, broadcast to the means: `[*act]` where they depend on no state.
    """

    means: Tensor
    log_stds: Tensor

    def sample(self, generator: torch.Generator) -> Tensor:
        """Return float32 `[B, *act]`, of any size: see `clip_to_box`."""
        noise = torch.empty_like(self.means).normal_(generator=generator)
        return (self.means + self.log_stds.exp() * noise).detach()

    def mode(self) -> Tensor:
        """Return the means."""
        return self.means

    def log_prob(self, samples: Tensor) -> Tensor:
        """Return the log density of `samples [B, *act]`: -1/2 sum (((x - mu) / sigma)^2 + 2 log sigma + log 2 pi)."""
        distances = (samples - self.means) * (-self.log_stds).exp()
        return -0.5 * _sum_of_components(distances.square() + 2 * self.log_stds + math.log(2 * math.pi))

    def entropy(self) -> Tensor:
        """Return the entropy `[B]`: sum log sigma + 1/2 log 2 pi e."""
        each = self.log_stds + 0.5 * math.log(2 * math.pi * math.e)
        return _sum_of_components(each.expand_as(self.means))


def clip_to_box(samples: Tensor, box: Box) -> Tensor:
    """Return the nearest actions `[B, *act]` that a Box holds, in its dtype; bounds that are infinite clip nothing.

    The log probability that learning needs is that of the sample, not of the clipped action: keep both.
    """
    low, high = torch.from_numpy(box.low), torch.from_numpy(box.high)
    return samples.to(low.dtype).clamp(low, high)


def _sum_of_components(values: Tensor) -> Tensor:
    return values.reshape(len(values), -1).sum(dim=1)
