"""How able a network still is to learn: dormant units, effective rank, sizes of weights and gradients.

Letters in shapes: B rows, U units of a layer. A layer is what an activation function gives: `[B, U]` behind a linear
layer, `[B, U, H, W]` behind a convolution, where a unit is a feature map.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from crl_core.policy import Policy
from crl_core.rollout import Rollout
from crl_core.task import Task

__all__ = ["DORMANT_BELOW", "dormant_units", "effective_rank", "measure_plasticity", "sample_observations"]

DORMANT_BELOW = 0.025
"""tau: the share of its layer's mean activity that a dormant unit has at most."""

_MOST_ROWS = 512  # as many as the Nature CNN has features: of fewer, their rank is limited by the rows

_ACTIVATION_FUNCTIONS = {
    function
    for name in (
        *("celu", "elu", "gelu", "glu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "mish", "prelu", "relu"),
        *("relu6", "rrelu", "selu", "sigmoid", "silu", "softplus", "tanh", "_prelu_kernel"),
    )
    for function in (getattr(torch.ops.aten, name, None), getattr(torch.ops.aten, f"{name}_", None))
    if function is not None
}


def measure_plasticity(policy: Policy[Any], task: Task, observations: Tensor) -> dict[str, float]:
    """Return figures by name, from what the policy's network makes of observations; a copy of it is asked.

    `dormant_fraction` is that of all units, and `dormant_fraction/layer<l>` that of layer l, from 1 in the order they
    are computed; `effective_rank/layer<l>` is that of a layer behind a linear one. `weight_norm` and `gradient_norm`
    are the Euclidean norms of all parameters, and of their gradients as the last update left them, which is after
    clipping. What the network has not is left out.

    Args:
        policy: what is measured; it stays as it is.
        task: what its observations are of.
        observations: `[B, *obs]`, on the CPU, in the environment's dtype, at least one.
    """
    acting = policy.acting_copy(seed=0)
    with _Activations() as activations:
        acting.compute_action(observations, task, None, eval_mode=True)
    figures: dict[str, float] = {}
    if activations.layers:
        figures["dormant_fraction"] = torch.cat([layer.dormant for layer in activations.layers]).float().mean().item()
    for number, layer in enumerate(activations.layers, 1):
        figures[f"dormant_fraction/layer{number}"] = layer.dormant.float().mean().item()
        if layer.rank is not None:
            figures[f"effective_rank/layer{number}"] = layer.rank
    parameters = list(policy.network.parameters())
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return {**figures, **_norm("weight_norm", parameters), **_norm("gradient_norm", gradients)}


def dormant_units(layer: Tensor) -> Tensor:
    """Return which units are dormant, bool `[U]` (Sokar et al., 2023, arXiv 2302.12902, definition 3.1).

    A unit's score is its mean |activation| over rows, and over the places of a feature map, divided by the mean of its
    layer's units; it is dormant where that is at most tau. In a layer where nothing is active all are.
    """
    activity = layer.abs().flatten(2).mean(dim=2) if layer.ndim > 2 else layer.abs()
    activity = activity.mean(dim=0)
    return activity <= DORMANT_BELOW * activity.mean()


def effective_rank(features: Tensor) -> float:
    """Return the effective rank of `features [B, U]`, from 1 to min(B, U); 0 where all are 0.

    It is the exponential of the entropy of the singular values, divided by their sum (Roy and Vetterli, 2007, "The
    effective rank: a measure of effective dimensionality").
    """
    singular = torch.linalg.svdvals(features.cpu().double())  # not every device has doubles
    total = singular.sum()
    if not total > 0:
        return 0.0
    shares = singular / total
    return float(torch.special.entr(shares).sum().exp())


def sample_observations(rollouts: Sequence[Rollout]) -> Tensor:
    """Return observations that were acted on, `[B, *obs]`: at most 512, evenly spaced over the valid rows."""
    total = sum(rollout.steps for rollout in rollouts)
    wanted = torch.linspace(0, total - 1, min(total, _MOST_ROWS)).round().long()
    first = 0
    taken = []
    for rollout in rollouts:
        mine = wanted[(wanted >= first) & (wanted < first + rollout.steps)] - first
        steps, columns = rollout.valid.nonzero()[mine].T
        taken.append(rollout.observations[steps, columns])
        first += rollout.steps
    return torch.cat(taken).cpu()


class _Layer(NamedTuple):
    """A layer's figures: which units are dormant, bool `[U]`; its effective rank, None behind a convolution."""

    dormant: Tensor
    rank: float | None


class _Activations(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch gives TorchDispatchMode no types
    """Measures what activation functions give while it is entered, whether modules or functions compute them.

    Attributes:
        layers: in the order they were computed.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # nor its constructor
        self.layers: list[_Layer] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in _ACTIVATION_FUNCTIONS and result.ndim >= 2:
            layer = result.detach().float()  # measured at once, since what comes next may overwrite it
            self.layers.append(_Layer(dormant_units(layer), effective_rank(layer) if layer.ndim == 2 else None))
        return result


def _norm(name: str, tensors: Iterable[Tensor]) -> dict[str, float]:
    norms = [tensor.detach().float().norm() for tensor in tensors]
    return {name: torch.stack(norms).norm().item()} if norms else {}
