"""Discrete actions: masks for tasks with fewer of them, choosing, log probabilities.

Letters in shapes: N rows, A actions of the largest task.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["choose_actions", "log_prob", "mask_logits"]


def mask_logits(logits: Tensor, num_actions: Tensor) -> Tensor:
    """Give actions that a row's task does not have the smallest finite logit, so that they are never taken.

    Finite, because -inf turns entropies and divergences into NaN. Used the same way when acting and when learning.

    Args:
        logits: `[..., N, A]`.
        num_actions: int64 `[N]`, how many of the A actions each row has.
    """
    invalid = torch.arange(logits.shape[-1], device=logits.device) >= num_actions[:, None]
    return logits.masked_fill(invalid, torch.finfo(logits.dtype).min)


def choose_actions(logits: Tensor, *, greedy: bool, generator: torch.Generator) -> Tensor:
    """Return int64 `[N]`: sampled from masked logits `[N, A]`, or the likeliest."""
    if greedy:
        return logits.argmax(dim=1)
    return torch.multinomial(logits.softmax(dim=1), 1, generator=generator).squeeze(1)


def log_prob(logits: Tensor, actions: Tensor) -> Tensor:
    """Return the log probability of actions `[...]` under logits `[..., A]`."""
    return functional.log_softmax(logits, dim=-1).gather(-1, actions.unsqueeze(-1)).squeeze(-1)
