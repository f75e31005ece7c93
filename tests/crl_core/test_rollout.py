"""Columns of rollouts, taken out and put together."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from crl_core.policy import TimestepData
from crl_core.rollout import Rollout

T, N = 3, 4
AHEAD = {"observations", "last_actions", "last_rewards"}  # T + 1 rows
PER_COLUMN = {"num_actions", "policy_version"}


def make(offset: int = 0, columns: int = N) -> Rollout:
    """Return a rollout in which every number tells its row and column: 10 t + column + offset."""

    def grid(steps: int) -> torch.Tensor:
        return 10 * torch.arange(steps)[:, None] + torch.arange(columns) + offset

    return Rollout(
        observations=grid(T + 1)[..., None].to(torch.uint8),
        actions=grid(T),
        rewards=grid(T).float(),
        terminated=grid(T) % 2 == 0,
        truncated=grid(T) % 3 == 0,
        valid=grid(T) % 5 != 0,
        last_actions=grid(T + 1),
        last_rewards=grid(T + 1).float(),
        extras={"values": grid(T).float(), "logits": grid(T)[..., None].expand(T, columns, 6)},
        task_id=tuple(f"task{offset + index}" for index in range(columns)),
        num_actions=torch.arange(columns) + offset,
        policy_version=torch.arange(columns) + 2 * offset,
    )


def same(one: Rollout, other: Rollout) -> bool:
    for field in fields(Rollout):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name == "extras":
            if a.keys() != b.keys() or not all(torch.equal(a[name], b[name]) for name in a):
                return False
        elif not (torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b):
            return False
    return True


def test_size() -> None:
    rollout = make()
    assert (rollout.num_steps, rollout.num_columns) == (T, N)
    assert rollout.steps == 9  # 0, 10 and 20 are divisible by 5


def test_columns_are_views_of_every_field() -> None:
    whole = make()
    part = whole.columns(1, 3)
    assert part.actions.tolist() == [[1, 2], [11, 12], [21, 22]]
    assert part.observations[..., 0].tolist() == [[1, 2], [11, 12], [21, 22], [31, 32]]
    assert part.extras["logits"].shape == (T, 2, 6)
    assert part.task_id == ("task1", "task2")
    assert part.num_actions.tolist() == [1, 2]
    whole.rewards[0, 1] = 99
    assert part.rewards[0, 0] == 99


def test_parts_put_together_are_the_whole_in_every_field() -> None:
    whole = make()
    assert same(Rollout.concatenate([whole.columns(0, 1), whole.columns(1, 4)]), whole)
    assert not same(Rollout.concatenate([whole.columns(1, 4), whole.columns(0, 1)]), whole)


def test_a_single_rollout_is_not_copied() -> None:
    whole = make()
    assert Rollout.concatenate([whole]) is whole
    assert whole.to(torch.device("cpu")) is whole


def test_to_moves_every_tensor() -> None:
    moved = make().to(torch.device("meta"))
    tensors = [getattr(moved, field.name) for field in fields(Rollout) if field.name not in {"extras", "task_id"}]
    assert {each.device.type for each in [*tensors, *moved.extras.values()]} == {"meta"}
    assert moved.task_id == make().task_id


def test_what_precedes_an_observation_is_zero_after_a_reset() -> None:
    data = TimestepData(
        actions=torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
        rewards=torch.tensor([5.0, 6.0]),
        is_reset=torch.tensor([False, True]),
    )
    actions, rewards = data.carried()
    assert actions.tolist() == [[1, 2], [0, 0]]
    assert rewards.tolist() == [5, 0]


def test_nothing_is_carried_before_the_runner_has_seen_the_step() -> None:
    with pytest.raises(ValueError, match="has not filled in"):
        TimestepData(actions=torch.zeros(2)).carried()
