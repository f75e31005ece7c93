"""Returns and losses of the advantage actor-critic (Mnih et al., 2016, arXiv:1602.01783, algorithm S3).

Letters in shapes: T steps, N environments, B rows, A actions.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


@torch.no_grad()
def n_step_returns(
    *, rewards: Tensor, values: Tensor, terminated: Tensor, truncated: Tensor, valid: Tensor, gamma: float
) -> Tensor:
    """Return `[T, N]`, what the values should become.

        G_t = r_t + gamma G_{t+1},    G_T = V(x_T)

    Nothing follows a terminated row. A truncated row was only cut off: V(x_{t+1}) stands for what would have followed.
    A row that is not valid is the reset between two episodes; there G_t = V(x_t), so that nothing passes from the new
    episode to the old.

    Args:
        rewards: `[T, N]`.
        values: `[T + 1, N]`, V(x_0) to V(x_T).
        terminated: bool `[T, N]`.
        truncated: bool `[T, N]`.
        valid: bool `[T, N]`.
        gamma: the discount factor.
    """
    num_steps, num_envs = rewards.shape
    assert values.shape == (num_steps + 1, num_envs), (values.shape, rewards.shape)
    assert terminated.shape == truncated.shape == valid.shape == rewards.shape

    returns = torch.empty_like(rewards)
    following = values[-1]
    for t in reversed(range(num_steps)):
        following = torch.where(truncated[t], values[t + 1], following)
        following = rewards[t] + gamma * following.masked_fill(terminated[t], 0)
        following = torch.where(valid[t], following, values[t])
        returns[t] = following
    return returns


class Losses(NamedTuple):
    """The three parts of the loss, each a mean over the rows, without its weight."""

    policy: Tensor
    value: Tensor
    entropy: Tensor


def actor_critic_losses(*, logits: Tensor, values: Tensor, actions: Tensor, returns: Tensor) -> Losses:
    """Return the losses of rows that are all valid.

        policy = -mean log pi(a|x) (G - V(x)),    value = 1/2 mean (G - V(x))^2,    entropy = -mean H(pi(.|x))

    The advantage G - V(x) is a constant in the policy's loss.

    Args:
        logits: `[B, A]`.
        values: `[B]`.
        actions: int64 `[B]`.
        returns: `[B]`.
    """
    assert logits.ndim == 2
    assert values.shape == actions.shape == returns.shape == logits.shape[:1]

    log_policy = functional.log_softmax(logits, dim=1)
    log_probs = log_policy.gather(1, actions[:, None]).squeeze(1)
    advantages = returns - values
    return Losses(
        policy=-(log_probs * advantages.detach()).mean(),
        value=0.5 * advantages.square().mean(),
        entropy=(log_policy.exp() * log_policy).sum(dim=1).mean(),
    )
