"""Distributions over actions, against numbers worked out by hand and against torch's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from crl_core.distributions import ActionDistribution, Categorical, Gaussian, clip_to_box

NO = torch.finfo(torch.float32).min


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_categorical_log_prob() -> None:
    policy = Categorical(torch.tensor([[math.log(1.0), math.log(3.0)]]))
    assert policy.log_prob(torch.tensor([1])).tolist() == pytest.approx([math.log(0.75)])
    assert policy.mode().tolist() == [1]


def test_masked_actions_have_no_part_in_entropy() -> None:
    logits = torch.tensor([[0.0, 0.0, NO], [0.0, 0.0, 0.0]], requires_grad=True)
    entropy = Categorical(logits).entropy()
    assert entropy.tolist() == pytest.approx([math.log(2), math.log(3)])
    (gradient,) = torch.autograd.grad(entropy.sum(), logits)
    assert gradient.isfinite().all()


def test_categorical_samples_have_their_probabilities() -> None:
    logits = torch.tensor([0.2, 0.8, 0.0]).log().clamp(min=NO).expand(4000, 3)
    samples = Categorical(logits).sample(generator())
    assert (samples.bincount(minlength=3) / 4000).tolist() == pytest.approx([0.2, 0.8, 0.0], abs=0.03)


def test_gaussian_by_hand() -> None:
    policy = Gaussian(torch.tensor([[1.0, -1.0]]), torch.tensor([2.0, 0.5]).log())
    # one standard deviation off in the first component, two in the second; the deviations multiply to 1
    assert policy.log_prob(torch.tensor([[3.0, 0.0]])).tolist() == pytest.approx([-0.5 - 2 - math.log(2 * math.pi)])
    assert policy.entropy().tolist() == pytest.approx([1 + math.log(2 * math.pi)])
    assert policy.mode() is policy.means


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_gaussian_equals_that_of_torch(shape: tuple[int, ...]) -> None:
    means, log_stds = torch.randn(5, *shape, generator=generator(1)), torch.randn(shape, generator=generator(2))
    policy, expected = Gaussian(means, log_stds), torch.distributions.Normal(means, log_stds.exp())
    samples = policy.sample(generator(3))
    assert samples.shape == means.shape
    torch.testing.assert_close(policy.log_prob(samples), expected.log_prob(samples).reshape(5, -1).sum(dim=1))
    torch.testing.assert_close(policy.entropy(), expected.entropy().reshape(5, -1).sum(dim=1))


def test_gaussian_samples_have_their_moments() -> None:
    policy = Gaussian(torch.tensor([[5.0, -5.0]]).expand(20_000, 2), torch.tensor([0.1, 3.0]).log())
    samples = policy.sample(generator())
    assert samples.mean(dim=0).tolist() == pytest.approx([5.0, -5.0], abs=0.1)
    assert samples.std(dim=0).tolist() == pytest.approx([0.1, 3.0], rel=0.05)


@pytest.mark.parametrize(
    "policy",
    [
        Categorical(torch.zeros(6, 4, requires_grad=True)),
        Gaussian(torch.zeros(6, 2, requires_grad=True), torch.zeros(2, requires_grad=True)),
    ],
)
def test_samples_repeat_with_the_generator_and_carry_no_gradient(policy: ActionDistribution) -> None:
    first, again, other = (policy.sample(generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not first.requires_grad
    assert policy.log_prob(first).requires_grad


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_clipped_actions_are_in_the_box(dtype: type[np.floating]) -> None:
    box = Box(
        np.array([-0.1, -np.inf, 0.3], dtype), np.array([0.1, 0.7, np.inf], dtype), dtype=dtype
    )  # no exact floats
    actions = clip_to_box(torch.tensor([[-9.0, -9.0, -9.0], [9.0, 9.0, 9.0], [0.0, 0.5, 0.5]]), box)
    assert all(action in box for action in actions.numpy())
    assert actions[0].tolist() == [box.low[0], -9.0, box.low[2]]
    assert actions[1].tolist() == [box.high[0], box.high[1], 9.0]
    assert actions[2].tolist() == [0.0, 0.5, 0.5]
