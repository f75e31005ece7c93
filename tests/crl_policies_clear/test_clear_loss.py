"""Cloning losses: numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from crl_policies_clear.loss import policy_cloning_loss, value_cloning_loss

LOWEST = torch.finfo(torch.float32).min


def test_policy_cloning_is_the_sum_of_divergences_from_the_stored_policy() -> None:
    stored = torch.tensor([[[math.log(3.0), 0.0]], [[0.0, 0.0]]])  # 3/4, 1/4; 1/2, 1/2
    current = torch.tensor([[[0.0, 0.0]], [[0.0, math.log(3.0)]]])  # 1/2, 1/2; 1/4, 3/4

    loss = policy_cloning_loss(stored, current, torch.ones(2, 1, dtype=torch.bool))

    first = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    second = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert loss.item() == pytest.approx(first + second)


def test_the_divergence_is_taken_the_papers_way_round() -> None:
    certain, even = torch.tensor([[[20.0, 0.0]]]), torch.tensor([[[0.0, 0.0]]])
    valid = torch.ones(1, 1, dtype=torch.bool)

    assert policy_cloning_loss(certain, even, valid).item() == pytest.approx(math.log(2), rel=1e-4)
    assert policy_cloning_loss(even, certain, valid).item() == pytest.approx(10 - math.log(2), rel=1e-4)


def test_value_cloning_is_a_sum_of_squares_without_a_half() -> None:
    stored = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    current = torch.tensor([[2.0, 2.0], [0.0, 4.5]])

    assert value_cloning_loss(stored, current, torch.ones(2, 2, dtype=torch.bool)).item() == 1 + 9 + 0.25


def test_rows_that_are_no_steps_count_for_nothing() -> None:
    valid = torch.tensor([[True], [False]])
    stored, current = torch.zeros(2, 1, 3), torch.zeros(2, 1, 3)
    current[1, 0, 0] = 5.0

    assert policy_cloning_loss(stored, current, valid).item() == 0.0
    assert value_cloning_loss(torch.zeros(2, 1), torch.tensor([[0.0], [5.0]]), valid).item() == 0.0


def test_actions_a_task_does_not_have_add_nothing_and_no_nan() -> None:
    stored = torch.tensor([[[math.log(3.0), 0.0, LOWEST]]])
    current = torch.tensor([[[0.0, 0.0, LOWEST]]], requires_grad=True)

    loss = policy_cloning_loss(stored, current, torch.ones(1, 1, dtype=torch.bool))
    loss.backward()

    assert loss.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert current.grad is not None
    # d KL / d logits = current policy - stored policy
    torch.testing.assert_close(current.grad, torch.tensor([[[-0.25, 0.25, 0.0]]]))


def test_gradients_flow_into_the_current_values_only() -> None:
    stored = torch.tensor([[1.0]], requires_grad=True)
    current = torch.tensor([[3.0]], requires_grad=True)

    value_cloning_loss(stored.detach(), current, torch.ones(1, 1, dtype=torch.bool)).backward()

    assert current.grad is not None
    assert current.grad.item() == 4.0
    assert stored.grad is None
