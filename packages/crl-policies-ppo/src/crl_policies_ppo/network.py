"""PPO's network: an encoder and two linear heads.

Letters in shapes: B batch, A actions.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import gymnasium
import torch
from torch import Tensor, nn

from crl_core.discrete import mask_logits
from crl_core.networks import encode, make_encoder, prepare_observations

__all__ = ["NetworkOutput", "PpoNetwork"]


class NetworkOutput(NamedTuple):
    """What the network says of observations.

    Attributes:
        policy_logits: float32 `[B, A]`; actions that the task does not have are at the smallest finite number.
        values: float32 `[B]`.
    """

    policy_logits: Tensor
    values: Tensor


class PpoNetwork(nn.Module):
    """Encoder features, then linear heads for policy and value; weights start orthogonal, the policy near uniform."""

    def __init__(
        self, observation_space: gymnasium.Space[Any], num_actions: int, *, convolution_dtype: torch.dtype
    ) -> None:
        """Make a network with one policy head of `num_actions`, the most that any task has."""
        super().__init__()
        self.convolution_dtype = convolution_dtype
        self.encoder = make_encoder(observation_space)
        self.policy = nn.Linear(self.encoder.num_features, num_actions)
        self.value = nn.Linear(self.encoder.num_features, 1)
        _initialize(self.encoder, gain=math.sqrt(2))
        _initialize(self.policy, gain=0.01)
        _initialize(self.value, gain=1.0)

    def prepare(self, observations: Tensor) -> Tensor:
        """Return `observations [B, *obs]` as `forward` takes them; done once for all passes over the same rows."""
        return prepare_observations(observations, self.convolution_dtype)

    def forward(self, prepared: Tensor, num_actions: Tensor) -> NetworkOutput:
        """Evaluate observations.

        Args:
            prepared: `[B, *obs]`, what `prepare` returned, or rows of it.
            num_actions: int64 `[B]`, how many actions each row's task has.
        """
        features = encode(self.encoder, prepared, self.convolution_dtype)
        return NetworkOutput(mask_logits(self.policy(features), num_actions), self.value(features).squeeze(1))


def _initialize(module: nn.Module, *, gain: float) -> None:
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            nn.init.orthogonal_(part.weight, gain)
            nn.init.zeros_(part.bias)  # type: ignore[arg-type]  # every layer here has a bias
