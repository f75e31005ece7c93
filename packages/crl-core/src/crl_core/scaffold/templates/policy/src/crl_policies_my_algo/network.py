"""The network: an encoder that suits the observations, and linear heads for policy and value.

Letters in shapes: B rows, A actions of the largest task.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import torch
from crl_core.discrete import mask_logits
from crl_core.networks import make_encoder, prepare_observations
from torch import Tensor, nn


class Outputs(NamedTuple):
    """What the network says of observations.

    Attributes:
        logits: `[B, A]`; actions that a row's task does not have are never taken.
        values: `[B]`.
    """

    logits: Tensor
    values: Tensor


class MyAlgoNetwork(nn.Module):
    """Nature CNN for Atari frames, smaller networks for small images and vectors; then two linear heads."""

    def __init__(self, observation_space: gymnasium.Space[Any], num_actions: int) -> None:
        """Make a network with a policy head of `num_actions`, the most that any task has."""
        super().__init__()
        self.encoder = make_encoder(observation_space)
        self.policy = nn.Linear(self.encoder.num_features, num_actions)
        self.value = nn.Linear(self.encoder.num_features, 1)

    def forward(self, observations: Tensor, num_actions: Tensor) -> Outputs:
        """Evaluate observations.

        Args:
            observations: `[B, *obs]`, as environments give them.
            num_actions: int64 `[B]`, how many actions each row's task has.
        """
        features = self.encoder(prepare_observations(observations, torch.float32))
        return Outputs(mask_logits(self.policy(features), num_actions), self.value(features).squeeze(1))
