"""PPO's losses, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from crl_core.distributions import Gaussian
from crl_policies_ppo.loss import (
    clipped_surrogate_loss,
    clipped_value_loss,
    normalize,
    ratio_statistics,
    value_loss,
)


def logs(*ratios: float) -> Tensor:
    return torch.tensor(ratios).log()


@pytest.mark.parametrize(
    ("ratio", "advantage", "objective"),
    [
        (1.1, 2.0, 2.2),  # inside the range
        (1.5, 2.0, 2.4),  # more of a good action: clipped at 1.2
        (0.5, 2.0, 1.0),  # less of a good action: not clipped
        (0.5, -2.0, -1.6),  # less of a bad action: clipped at 0.8
        (1.5, -2.0, -3.0),  # more of a bad action: not clipped
    ],
)
def test_clipped_surrogate(ratio: float, advantage: float, objective: float) -> None:
    loss = clipped_surrogate_loss(logs(ratio), logs(1.0), torch.tensor([advantage]), clip_param=0.2)
    assert float(loss) == pytest.approx(-objective)


def test_clipped_surrogate_is_a_mean_and_clipped_rows_have_no_gradient() -> None:
    log_probs = logs(1.5, 1.1).requires_grad_()
    loss = clipped_surrogate_loss(log_probs, logs(1.0, 1.0), torch.tensor([2.0, 2.0]), clip_param=0.2)
    assert loss.item() == pytest.approx(-(2.4 + 2.2) / 2)
    (gradient,) = torch.autograd.grad(loss, log_probs)
    assert gradient.tolist() == pytest.approx([0.0, -1.1])


@pytest.mark.parametrize(
    ("value", "old_value", "value_return", "squared"),
    [
        (1.1, 1.0, 2.0, 0.81),  # inside the range
        (1.5, 1.0, 2.0, 0.64),  # came closer by more than 0.2: the clipped 1.2 counts
        (0.5, 1.0, 2.0, 2.25),  # went away: the value itself counts
    ],
)
def test_clipped_value_loss(value: float, old_value: float, value_return: float, squared: float) -> None:
    loss = clipped_value_loss(
        torch.tensor([value]), torch.tensor([old_value]), torch.tensor([value_return]), clip_param=0.2
    )
    assert float(loss) == pytest.approx(0.5 * squared)


def test_value_loss() -> None:
    assert float(value_loss(torch.tensor([1.0, 5.0]), torch.tensor([2.0, 2.0]))) == (1 + 9) / 2 / 2


def test_clipped_surrogate_of_gaussians() -> None:
    # old: mean 0, standard deviation 1; now: means 1 and -1, standard deviations 2 and 1/2; one sample, (1, 0)
    samples = torch.tensor([[1.0, 0.0]])
    old = Gaussian(torch.zeros(1, 2), torch.zeros(2)).log_prob(samples)
    now = Gaussian(torch.tensor([[1.0, -1.0]]), torch.tensor([2.0, 0.5]).log()).log_prob(samples)
    ratio = (1 / 2 * math.exp(0)) * (2 * math.exp(-(2**2) / 2)) / (math.exp(-1 / 2) * math.exp(0))
    assert math.exp(-3 / 2) == pytest.approx(ratio)
    assert float(now - old) == pytest.approx(-3 / 2)
    for advantage, objective in ((2.0, 2 * ratio), (-2.0, -2 * 0.8)):
        loss = clipped_surrogate_loss(now, old, torch.tensor([advantage]), clip_param=0.2)
        assert float(loss) == pytest.approx(-objective)


def test_ratio_statistics() -> None:
    statistics = ratio_statistics(logs(1.5, 1.1), logs(1.0, 1.0), clip_param=0.2)
    assert float(statistics.clip_fraction) == 0.5
    assert float(statistics.approx_kl) == pytest.approx((0.5 - math.log(1.5) + 0.1 - math.log(1.1)) / 2)


def test_normalize() -> None:
    assert normalize(torch.tensor([1.0, 3.0])).tolist() == pytest.approx([-1.0, 1.0], rel=1e-4)
    assert normalize(torch.tensor([5.0])).tolist() == [0.0]
