"""V-trace and IMPALA's losses (Espeholt et al., 2018, arXiv:1802.01561).

Letters in shapes: T steps, N columns, A actions. Everything is float32 and time-major; rows that are not valid (resets)
count for nothing and cut every recursion.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "VTrace",
    "baseline_loss",
    "entropy_loss",
    "policy_gradient_loss",
    "vtrace",
]


class VTrace(NamedTuple):
    """V-trace's results.

    Attributes:
        targets: `[T, N]`, v_s, what the values should become; the value itself at rows that are not valid.
        advantages: `[T, N]`, rho_s (r_s + gamma_s v_{s+1} - V(x_s)); 0 at rows that are not valid.
    """

    targets: Tensor
    advantages: Tensor


@torch.no_grad()
def vtrace(
    *,
    log_ratios: Tensor,
    rewards: Tensor,
    values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    valid: Tensor,
    discounting: float,
    rho_clip: float = 1.0,
    c_clip: float = 1.0,
) -> VTrace:
    """Return V-trace targets and advantages, equation (1) and section 4.2 of the paper.

        v_s = V(x_s) + delta_s + gamma_s c_s (v_{s+1} - V(x_{s+1}))
        delta_s = rho_s (r_s + gamma_s V(x_{s+1}) - V(x_s))

    with rho_s = min(rho_clip, pi/mu) and c_s = min(c_clip, pi/mu). A terminated row has gamma_s = 0. A truncated one
    bootstraps from V(x_{s+1}) and carries nothing back from beyond. A reset row has rho_s = c_s = 0, so that nothing
    crosses
    it: the targets are those of the separate episodes.

    Args:
        log_ratios: `[T, N]`, log pi(a|x) - log mu(a|x) of the actions taken.
        rewards: `[T, N]`.
        values: `[T + 1, N]`, V(x_0) to V(x_T).
        terminated: bool `[T, N]`.
        truncated: bool `[T, N]`.
        valid: bool `[T, N]`.
        discounting: gamma.
        rho_clip: the paper's rho-bar.
        c_clip: the paper's c-bar.
    """
    assert values.shape == (rewards.shape[0] + 1, rewards.shape[1]), (values.shape, rewards.shape)
    assert log_ratios.shape == terminated.shape == truncated.shape == valid.shape == rewards.shape

    ratios = log_ratios.exp()
    rhos = ratios.clamp(max=rho_clip) * valid
    discounts = discounting * (~terminated).to(values.dtype)
    deltas = rhos * (rewards + discounts * values[1:] - values[:-1])
    traces = discounts * ratios.clamp(max=c_clip) * (valid & ~truncated)

    backwards = [torch.zeros_like(values[0])]  # v_s - V(x_s) for s = T, T - 1, ..., 0
    for delta, trace in zip(reversed(deltas.unbind()), reversed(traces.unbind()), strict=True):
        backwards.append(delta + trace * backwards[-1])
    excesses = torch.stack(backwards[::-1])
    targets = values[:-1] + excesses[:-1]
    next_targets = values[1:] + torch.where(truncated, 0.0, excesses[1:])
    return VTrace(targets, rhos * (rewards + discounts * next_targets - values[:-1]))


def policy_gradient_loss(log_probs: Tensor, advantages: Tensor, valid: Tensor) -> Tensor:
    """Return -sum of log pi(a_s|x_s) A_s; all `[T, N]`, the advantages already weighted by rho_s."""
    assert log_probs.shape == advantages.shape == valid.shape
    return -(log_probs * advantages.detach() * valid).sum()


def baseline_loss(values: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """Return 1/2 sum of (v_s - V(x_s))^2; all `[T, N]`."""
    assert values.shape == targets.shape == valid.shape
    return 0.5 * ((targets.detach() - values).square() * valid).sum()


def entropy_loss(policy_logits: Tensor, valid: Tensor) -> Tensor:
    """Return -sum of the policy's entropy; logits `[T, N, A]`, valid `[T, N]`."""
    assert policy_logits.shape[:2] == valid.shape
    log_policy = functional.log_softmax(policy_logits, dim=-1)
    return ((log_policy.exp() * log_policy).sum(dim=-1) * valid).sum()
