"""IMPALA's network: an encoder, the last action and reward, and two heads.

Letters in shapes: B batch, A actions, F features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import torch
from torch import Tensor, nn
from torch.nn import functional

from crl_core.discrete import mask_logits
from crl_core.networks import encode, make_encoder, prepare_observations
from crl_policies_impala.config import ImpalaConfig

__all__ = ["ImpalaNetwork", "NetworkOutput"]

_ARCHITECTURES = {  # conv_net_arch -> (architecture, width)
    "orig": ("nature", 1),
    "8xorig": ("nature", 6),
    "32xorig": ("nature", 14),
    "impala_res_cnn": ("residual", 1),
    "none": ("mlp", 1),
}


class NetworkOutput(NamedTuple):
    """What the network says of observations.

    Attributes:
        policy_logits: float32 `[B, A]`; actions that the task does not have are at the smallest finite number.
        values: float32 `[B]`.
        uncertainty: float32 `[B]` where `baseline_includes_uncertainty` is set.
    """

    policy_logits: Tensor
    values: Tensor
    uncertainty: Tensor | None

    def present(self) -> list[Tensor]:
        """Return the outputs that there are."""
        return [each for each in self if each is not None]

    def map(self, function: Callable[[Tensor], Tensor]) -> NetworkOutput:
        """Return what `function` makes of each output."""
        uncertainty = None if self.uncertainty is None else function(self.uncertainty)
        return NetworkOutput(function(self.policy_logits), function(self.values), uncertainty)


class ImpalaNetwork(nn.Module):
    """Encoder features, one-hot last action and clipped last reward, then linear heads for policy and value."""

    def __init__(
        self,
        config: ImpalaConfig,
        observation_space: gymnasium.Space[Any],
        num_actions: int,
        *,
        convolution_dtype: torch.dtype,
    ) -> None:
        """Make a network with one policy head of `num_actions`, the most that any task has."""
        super().__init__()
        architecture, width = _ARCHITECTURES[config.conv_net_arch]
        self.num_actions = num_actions
        self.convolution_dtype = convolution_dtype
        self.encoder = make_encoder(observation_space, architecture=architecture, width=width)
        self.critic_encoder = (
            make_encoder(observation_space, architecture=architecture, width=width)
            if config.sep_critic_conv_net
            else None
        )
        core = self.encoder.num_features + num_actions + 1
        self.policy = nn.Linear(core, num_actions)
        outputs = 2 if config.baseline_includes_uncertainty else 1
        self.baseline: nn.Module = (
            nn.Sequential(nn.Linear(core, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, outputs))
            if config.baseline_extended_arch
            else nn.Linear(core, outputs)
        )

    def forward(
        self, observations: Tensor, last_actions: Tensor, last_rewards: Tensor, num_actions: Tensor
    ) -> NetworkOutput:
        """Evaluate observations.

        Args:
            observations: `[B, *obs]`.
            last_actions: int64 `[B]`.
            last_rewards: float32 `[B]`, unclipped.
            num_actions: int64 `[B]`, how many actions each row's task has.
        """
        inputs = prepare_observations(observations, self.convolution_dtype)
        last = torch.cat(
            [
                functional.one_hot(last_actions, self.num_actions).to(torch.float32),
                last_rewards.clamp(-1, 1)[:, None],
            ],
            dim=1,
        )
        core = torch.cat([encode(self.encoder, inputs), last], dim=1)
        critic = core if self.critic_encoder is None else torch.cat([encode(self.critic_encoder, inputs), last], dim=1)
        baseline = self.baseline(critic)
        uncertainty = baseline[:, 1] if baseline.shape[1] > 1 else None
        return NetworkOutput(mask_logits(self.policy(core), num_actions), baseline[:, 0], uncertainty)
