"""PPO's network: an encoder, and a head each for policy and value.

Letters in shapes: B batch, A actions, *act the shape of one continuous action, F features.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import gymnasium
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor, nn

from crl_core.discrete import mask_logits
from crl_core.distributions import ActionDistribution, Categorical, Gaussian
from crl_core.networks import Mlp, encode, make_encoder, prepare_observations

__all__ = ["CategoricalHead", "GaussianHead", "NetworkOutput", "PpoNetwork"]


class NetworkOutput(NamedTuple):
    """What the network says of observations.

    Attributes:
        policy: the distribution of each row's action.
        values: float32 `[B]`.
    """

    policy: ActionDistribution
    values: Tensor


class PpoNetwork(nn.Module):
    """Encoder features, then heads for policy and value; weights start orthogonal, those of the policy small.

    Images have one encoder for both heads. Vectors have one for each, as in Schulman et al. (2017): two small networks
    cost little, and the value's gradients leave the policy alone.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        action_space: Box | Discrete[Any],
        *,
        convolution_dtype: torch.dtype,
    ) -> None:
        """Make a network.

        Args:
            observation_space: the space all tasks share.
            action_space: the Box all tasks share, or a Discrete space of the most actions that any task has.
            convolution_dtype: the precision of convolutions.
        """
        super().__init__()
        self.convolution_dtype = convolution_dtype
        self.encoder = make_encoder(observation_space)
        self.value_encoder = make_encoder(observation_space) if isinstance(self.encoder, Mlp) else None
        num_features = self.encoder.num_features
        self.policy: CategoricalHead | GaussianHead = (
            GaussianHead(num_features, action_space.shape)
            if isinstance(action_space, Box)
            else CategoricalHead(num_features, int(action_space.n))
        )
        self.value = nn.Linear(num_features, 1)
        for part, gain in (
            (self.encoder, math.sqrt(2)),
            (self.value_encoder, math.sqrt(2)),
            (self.policy, 0.01),
            (self.value, 1.0),
        ):
            if part is not None:
                _initialize(part, gain=gain)

    def prepare(self, observations: Tensor) -> Tensor:
        """Return `observations [B, *obs]` as `forward` takes them; done once for all passes over the same rows."""
        return prepare_observations(observations, self.convolution_dtype)

    def forward(self, prepared: Tensor, num_actions: Tensor) -> NetworkOutput:
        """Evaluate observations.

        Args:
            prepared: `[B, *obs]`, what `prepare` returned, or rows of it.
            num_actions: int64 `[B]`, how many actions each row's task has; 0 for continuous ones.
        """
        features = encode(self.encoder, prepared)
        value_features = features if self.value_encoder is None else encode(self.value_encoder, prepared)
        return NetworkOutput(self.policy(features, num_actions), self.value(value_features).squeeze(1))


class CategoricalHead(nn.Module):
    """Discrete actions: one logit each."""

    def __init__(self, num_features: int, num_actions: int) -> None:
        """Make a head with logits for `num_actions`."""
        super().__init__()
        self.logits = nn.Linear(num_features, num_actions)

    def forward(self, features: Tensor, num_actions: Tensor) -> Categorical:
        """Return the distribution for `features [B, F]`, over the first `num_actions [B]` actions of each row."""
        return Categorical(mask_logits(self.logits(features), num_actions))


class GaussianHead(nn.Module):
    """Continuous actions: means from the features, log standard deviations that depend on no state and start at 0."""

    def __init__(self, num_features: int, shape: tuple[int, ...]) -> None:
        """Make a head for actions of `shape`."""
        super().__init__()
        self.shape = shape
        self.means = nn.Linear(num_features, math.prod(shape))
        self.log_stds = nn.Parameter(torch.zeros(shape))

    def forward(self, features: Tensor, num_actions: Tensor) -> Gaussian:
        """Return the distribution for `features [B, F]`; `num_actions` is what a head for discrete actions needs."""
        return Gaussian(self.means(features).view(len(features), *self.shape), self.log_stds)


def _initialize(module: nn.Module, *, gain: float) -> None:
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            nn.init.orthogonal_(part.weight, gain)
            nn.init.zeros_(part.bias)  # type: ignore[arg-type]  # every layer here has a bias
