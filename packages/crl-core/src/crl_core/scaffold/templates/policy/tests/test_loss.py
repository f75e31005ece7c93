"""Returns and losses, against numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Collection

import pytest
import torch
from torch import Tensor

from crl_policies_my_algo.loss import actor_critic_losses, n_step_returns


def returns(
    rewards: list[float],
    values: list[float],
    *,
    terminated: Collection[int] = (),
    truncated: Collection[int] = (),
    resets: Collection[int] = (),
) -> list[float]:
    """Return the returns of one environment, discounted by 0.5; the numbers of rows that are something are given."""

    def rows(which: Collection[int]) -> Tensor:
        return torch.tensor([[t in which] for t in range(len(rewards))])

    computed = n_step_returns(
        rewards=torch.tensor(rewards)[:, None],
        values=torch.tensor(values)[:, None],
        terminated=rows(terminated),
        truncated=rows(truncated),
        valid=~rows(resets),
        gamma=0.5,
    )
    return [float(each) for each in computed[:, 0]]


def test_an_episode_that_goes_on_is_bootstrapped() -> None:
    assert returns([1.0, 2.0], [9.0, 9.0, 4.0]) == [1 + 0.5 * (2 + 0.5 * 4), 2 + 0.5 * 4]


def test_nothing_follows_a_terminated_row() -> None:
    assert returns([1.0, 2.0], [9.0, 9.0, 4.0], terminated={1}) == [1 + 0.5 * 2, 2]


def test_a_truncated_row_is_bootstrapped_from_the_last_observation_of_its_episode() -> None:
    rewards, values = [1.0, 0.0, 2.0], [9.0, 6.0, 9.0, 4.0]
    assert returns(rewards, values, truncated={0}, resets={1}) == [1 + 0.5 * 6, 6, 2 + 0.5 * 4]


def test_nothing_passes_a_reset() -> None:
    rewards, values = [1.0, 0.0, 2.0], [9.0, 6.0, 9.0, 4.0]
    assert returns(rewards, values, terminated={0}, resets={1}) == [1, 6, 2 + 0.5 * 4]


def test_losses_are_means_over_rows() -> None:
    losses = actor_critic_losses(
        logits=torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]),  # probabilities 1/2, 1/2 and 3/4, 1/4
        values=torch.tensor([1.0, 2.0]),
        actions=torch.tensor([0, 1]),
        returns=torch.tensor([3.0, 1.0]),
    )
    assert float(losses.policy) == pytest.approx(-(2 * math.log(1 / 2) - 1 * math.log(1 / 4)) / 2)
    assert float(losses.value) == pytest.approx(0.5 * (2**2 + 1**2) / 2)
    entropies = math.log(2), -(3 / 4 * math.log(3 / 4) + 1 / 4 * math.log(1 / 4))
    assert float(losses.entropy) == pytest.approx(-sum(entropies) / 2)


def test_the_advantage_is_a_constant_in_the_loss_of_the_policy() -> None:
    values = torch.tensor([1.0], requires_grad=True)
    losses = actor_critic_losses(
        logits=torch.zeros(1, 2), values=values, actions=torch.tensor([0]), returns=torch.tensor([3.0])
    )
    assert not losses.policy.requires_grad
    assert torch.autograd.grad(losses.value, values)[0].tolist() == [-2]
