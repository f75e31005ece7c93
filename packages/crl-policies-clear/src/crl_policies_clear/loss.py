"""CLEAR's cloning losses (Rolnick et al., 2019, arXiv:1811.11682, section 4).

Letters in shapes: T steps, N replayed columns, A actions. Row t of what was stored is compared with row t of what the
network says now of the same observation; rows that are not valid count for nothing.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

__all__ = ["policy_cloning_loss", "value_cloning_loss"]


def policy_cloning_loss(stored_logits: Tensor, logits: Tensor, valid: Tensor) -> Tensor:
    """Return the sum of KL(stored policy || current policy); logits `[T, N, A]`, valid `[T, N]`."""
    assert stored_logits.shape == logits.shape
    assert logits.shape[:2] == valid.shape
    stored = functional.log_softmax(stored_logits, dim=-1)
    current = functional.log_softmax(logits, dim=-1)
    return ((stored.exp() * (stored - current)).sum(dim=-1) * valid).sum()


def value_cloning_loss(stored_values: Tensor, values: Tensor, valid: Tensor) -> Tensor:
    """Return the sum of (V - stored V)^2, without a factor 1/2; all `[T, N]`."""
    assert stored_values.shape == values.shape == valid.shape
    return ((values - stored_values).square() * valid).sum()
