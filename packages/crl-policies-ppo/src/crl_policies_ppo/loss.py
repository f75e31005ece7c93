"""Advantages and PPO's losses (Schulman et al., 2016, arXiv:1506.02438, and 2017, arXiv:1707.06347).

Letters in shapes: T steps, N columns, B rows of a minibatch. Everything is float32. Advantages are time-major; rows
that are not valid (resets) cut their recursion. The losses take valid rows only.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "Advantages",
    "RatioStatistics",
    "clipped_surrogate_loss",
    "clipped_value_loss",
    "gae",
    "n_step",
    "normalize",
    "ratio_statistics",
    "value_loss",
]


class Advantages(NamedTuple):
    """How much better than expected actions were.

    Attributes:
        advantages: `[T, N]`; 0 at rows that are not valid.
        returns: `[T, N]`, what the values should become: value + advantage.
    """

    advantages: Tensor
    returns: Tensor


@torch.no_grad()
def gae(
    *,
    rewards: Tensor,
    values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    valid: Tensor,
    gamma: float,
    gae_lambda: float,
) -> Advantages:
    """Return generalized advantage estimates, equation (16) of Schulman et al. (2016).

        A_t = delta_t + gamma_t lambda A_{t+1},    delta_t = r_t + gamma_t V(x_{t+1}) - V(x_t)

    A terminated row has gamma_t = 0. A truncated one bootstraps from V(x_{t+1}), and nothing is carried back to it. A
    reset row has delta_t = 0 and passes nothing on, so that the estimates are those of the separate episodes.

    Args:
        rewards: `[T, N]`.
        values: `[T + 1, N]`, V(x_0) to V(x_T).
        terminated: bool `[T, N]`.
        truncated: bool `[T, N]`.
        valid: bool `[T, N]`.
        gamma: the discount factor.
        gae_lambda: lambda.
    """
    num_steps, num_columns = rewards.shape
    assert values.shape == (num_steps + 1, num_columns), (values.shape, rewards.shape)
    assert terminated.shape == truncated.shape == valid.shape == rewards.shape

    discounts = gamma * (~terminated).to(values.dtype)
    deltas = (rewards + discounts * values[1:] - values[:-1]) * valid
    carries = gae_lambda * discounts * (valid & ~truncated)
    advantages = torch.empty_like(rewards)
    following = torch.zeros_like(values[-1])
    for t in reversed(range(num_steps)):
        following = deltas[t] + carries[t] * following
        advantages[t] = following
    return Advantages(advantages, values[:-1] + advantages)


def n_step(
    *, rewards: Tensor, values: Tensor, terminated: Tensor, truncated: Tensor, valid: Tensor, gamma: float
) -> Advantages:
    """Return discounted returns, bootstrapped where the rollout or a truncated episode ends, less the values.

        G_t = r_t + gamma_t G_{t+1},    G_T = V(x_T),    A_t = G_t - V(x_t)

    This is `gae` with lambda = 1, whose sum of deltas telescopes; the arguments are those of `gae`.
    """
    return gae(
        rewards=rewards,
        values=values,
        terminated=terminated,
        truncated=truncated,
        valid=valid,
        gamma=gamma,
        gae_lambda=1.0,
    )


def normalize(advantages: Tensor) -> Tensor:
    """Return `advantages [B]` with mean 0 and standard deviation 1."""
    return (advantages - advantages.mean()) / (advantages.std(correction=0) + 1e-5)


def clipped_surrogate_loss(
    log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, *, clip_param: float
) -> Tensor:
    """Return the negative of the clipped objective, equation (7) of Schulman et al. (2017); all `[B]`.

    L = -mean min(ratio A, clip(ratio, 1 - clip_param, 1 + clip_param) A),    ratio = pi(a|x) / pi_old(a|x)
    """
    assert log_probs.shape == old_log_probs.shape == advantages.shape
    ratios = (log_probs - old_log_probs).exp()
    clipped = ratios.clamp(1 - clip_param, 1 + clip_param)
    return -torch.minimum(ratios * advantages, clipped * advantages).mean()


def value_loss(values: Tensor, returns: Tensor) -> Tensor:
    """Return the value loss of the paper, equation (9): L = 1/2 mean (V - G)^2; all `[B]`."""
    assert values.shape == returns.shape
    return 0.5 * (values - returns).square().mean()


def clipped_value_loss(values: Tensor, old_values: Tensor, returns: Tensor, *, clip_param: float) -> Tensor:
    """Return the value loss of the original implementation (OpenAI Baselines' ppo2, not in the paper); all `[B]`.

    L = 1/2 mean max((V - G)^2, (V_old + clip(V - V_old, -clip_param, clip_param) - G)^2)
    """
    assert values.shape == old_values.shape == returns.shape
    clipped = old_values + (values - old_values).clamp(-clip_param, clip_param)
    return 0.5 * torch.maximum((values - returns).square(), (clipped - returns).square()).mean()


class RatioStatistics(NamedTuple):
    """How far an update has moved the policy.

    Attributes:
        approx_kl: an estimate of KL(pi_old || pi), mean of (ratio - 1) - log ratio.
        clip_fraction: the share of rows whose ratio is outside the clipping range.
    """

    approx_kl: Tensor
    clip_fraction: Tensor


@torch.no_grad()
def ratio_statistics(log_probs: Tensor, old_log_probs: Tensor, *, clip_param: float) -> RatioStatistics:
    """Return how far the policy is from the one that acted; all `[B]`."""
    assert log_probs.shape == old_log_probs.shape
    log_ratios = log_probs - old_log_probs
    excess = log_ratios.expm1()
    return RatioStatistics((excess - log_ratios).mean(), (excess.abs() > clip_param).to(torch.float32).mean())
