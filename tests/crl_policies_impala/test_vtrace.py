"""V-trace: equal to a slow loop run on each episode by itself, and to numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from crl_policies_impala.loss import vtrace

GAMMA = 0.9


@dataclass
class Column:
    """One environment's rows, as lists."""

    ratios: list[float] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)  # one more than rows
    terminated: list[bool] = field(default_factory=list)
    truncated: list[bool] = field(default_factory=list)
    valid: list[bool] = field(default_factory=list)

    def run(self, **clips: float) -> tuple[Tensor, Tensor]:
        result = vtrace(
            log_ratios=torch.tensor(self.ratios).log()[:, None],
            rewards=torch.tensor(self.rewards)[:, None],
            values=torch.tensor(self.values)[:, None],
            terminated=torch.tensor(self.terminated)[:, None],
            truncated=torch.tensor(self.truncated)[:, None],
            valid=torch.tensor(self.valid)[:, None],
            discounting=GAMMA,
            **clips,
        )
        return result.targets[:, 0], result.advantages[:, 0]


def plain(ratios: list[float], rewards: list[float], values: list[float]) -> Column:
    """Return rows of one episode that goes on."""
    no = [False] * len(rewards)
    return Column(ratios, rewards, values, list(no), list(no), [True] * len(rewards))


def slow_episode(  # the recursion of the paper's remark 1, one float32 operation at a time
    ratios: Tensor, rewards: Tensor, values: Tensor, bootstrap: Tensor, *, rho_clip: float, c_clip: float
) -> tuple[list[Tensor], list[Tensor]]:
    """Return targets and advantages of one episode whose last row is followed by a state worth `bootstrap`."""
    gamma = torch.tensor(GAMMA)
    steps = len(rewards)
    following = [*values[1:], bootstrap]
    discounts = [gamma] * steps
    excess = torch.tensor(0.0)
    targets: list[Tensor] = []
    advantages: list[Tensor] = []
    next_target = bootstrap
    for s in reversed(range(steps)):
        rho, c = ratios[s].clamp(max=rho_clip), ratios[s].clamp(max=c_clip)
        delta = rho * (rewards[s] + discounts[s] * following[s] - values[s])
        excess = delta + (discounts[s] * c) * excess
        advantages.insert(0, rho * (rewards[s] + discounts[s] * next_target - values[s]))
        next_target = values[s] + excess
        targets.insert(0, next_target)
    return targets, advantages


@pytest.mark.parametrize("clips", [{}, {"rho_clip": 1.5, "c_clip": 0.7}])
@pytest.mark.parametrize("seed", range(20))
def test_equals_the_slow_loop_on_the_separate_episodes(seed: int, clips: dict[str, float]) -> None:
    generator = torch.Generator().manual_seed(seed)
    num_steps = 23
    log_ratios = torch.randn(num_steps, generator=generator) * 0.7
    rewards = torch.randn(num_steps, generator=generator)
    values = torch.randn(num_steps + 1, generator=generator)
    kinds = torch.randint(6, (num_steps,), generator=generator).tolist()
    terminated, truncated, valid = ([False] * num_steps for _ in range(3))
    row = 0
    episodes: list[tuple[int, int, str]] = []  # first row, the row after the last, how it ended
    first = 0
    while row < num_steps:
        valid[row] = True
        end = {0: "game over", 1: "truncated", 2: "life lost"}.get(kinds[row])
        if end is None:
            row += 1
            continue
        terminated[row], truncated[row] = end != "truncated", end == "truncated"
        episodes.append((first, row + 1, end))
        row += 1
        if end != "life lost":
            row += 1  # the reset row stays invalid
        first = row
    if first < num_steps:
        episodes.append((first, num_steps, "goes on"))

    result = vtrace(
        log_ratios=log_ratios[:, None],
        rewards=rewards[:, None],
        values=values[:, None],
        terminated=torch.tensor(terminated)[:, None],
        truncated=torch.tensor(truncated)[:, None],
        valid=torch.tensor(valid)[:, None],
        discounting=GAMMA,
        **clips,
    )

    assert len(episodes) > 2
    seen = 0
    for start, stop, end in episodes:
        bootstrap = torch.tensor(0.0) if end in {"game over", "life lost"} else values[stop]
        targets, advantages = slow_episode(
            log_ratios[start:stop].exp(),
            rewards[start:stop],
            values[start:stop],
            bootstrap,
            rho_clip=clips.get("rho_clip", 1.0),
            c_clip=clips.get("c_clip", 1.0),
        )
        assert torch.equal(result.targets[start:stop, 0], torch.stack(targets))
        assert torch.equal(result.advantages[start:stop, 0], torch.stack(advantages))
        seen += stop - start
    assert seen == sum(valid)
    resets = ~torch.tensor(valid)
    assert torch.equal(result.targets[resets, 0], values[:-1][resets])
    assert not result.advantages[resets].any()


def test_on_policy_targets_are_discounted_returns() -> None:
    targets, advantages = plain([1.0, 1.0], [1.0, 2.0], [5.0, 7.0, 10.0]).run()

    # v_1 = 2 + .9 * 10 = 11, v_0 = 1 + .9 * 11 = 10.9
    torch.testing.assert_close(targets, torch.tensor([10.9, 11.0]))
    torch.testing.assert_close(advantages, torch.tensor([5.9, 4.0]))


def test_ratios_are_clipped_above_and_not_below() -> None:
    targets, advantages = plain([3.0, 0.5], [1.0, 2.0], [0.0, 4.0, 10.0]).run()

    # row 1: rho .5: delta = .5 * (2 + 9 - 4) = 3.5, v_1 = 7.5
    # row 0: rho 1:  delta = 1 + 3.6 - 0 = 4.6, v_0 = 4.6 + .9 * 1 * 3.5 = 7.75; advantage = 1 + .9 * 7.5
    torch.testing.assert_close(targets, torch.tensor([7.75, 7.5]))
    torch.testing.assert_close(advantages, torch.tensor([7.75, 3.5]))


def test_rho_and_c_are_clipped_apart() -> None:
    targets, advantages = plain([3.0, 1.0], [1.0, 2.0], [0.0, 4.0, 10.0]).run(rho_clip=2.0, c_clip=0.5)

    # row 1: v_1 = 11; row 0: delta = 2 * 4.6 = 9.2, v_0 = 9.2 + .9 * .5 * 7 = 12.35; advantage = 2 * (1 + 9.9)
    torch.testing.assert_close(targets, torch.tensor([12.35, 11.0]))
    torch.testing.assert_close(advantages, torch.tensor([21.8, 7.0]))


def test_termination_ends_the_episode_without_a_bootstrap() -> None:
    column = plain([1.0, 1.0, 1.0], [1.0, 5.0, 2.0], [3.0, 100.0, 4.0, 10.0])
    column.terminated[0] = True
    column.valid[1] = False  # the reset, whose observation is the finished episode's last

    targets, advantages = column.run()

    # row 0: v = 1; row 1: its own value; row 2: 2 + 9 = 11
    torch.testing.assert_close(targets, torch.tensor([1.0, 100.0, 11.0]))
    torch.testing.assert_close(advantages, torch.tensor([-2.0, 0.0, 7.0]))


def test_truncation_bootstraps_from_the_true_last_observation() -> None:
    column = plain([1.0, 1.0, 1.0], [1.0, 5.0, 2.0], [3.0, 100.0, 4.0, 10.0])
    column.truncated[0] = True
    column.valid[1] = False

    targets, advantages = column.run()

    # row 0: v = 1 + .9 * 100, whatever comes after
    torch.testing.assert_close(targets, torch.tensor([91.0, 100.0, 11.0]))
    torch.testing.assert_close(advantages, torch.tensor([88.0, 0.0, 7.0]))


def test_truncation_carries_nothing_back_even_where_no_reset_row_follows() -> None:
    column = plain([1.0, 1.0], [1.0, 2.0], [3.0, 100.0, 10.0])
    column.truncated[0] = True

    targets, advantages = column.run()

    torch.testing.assert_close(targets, torch.tensor([91.0, 11.0]))
    torch.testing.assert_close(advantages, torch.tensor([88.0, -89.0]))


def test_a_lost_life_ends_the_episode_though_the_next_row_is_real() -> None:
    column = plain([1.0, 1.0], [1.0, 2.0], [3.0, 100.0, 10.0])
    column.terminated[0] = True

    targets, advantages = column.run()

    torch.testing.assert_close(targets, torch.tensor([1.0, 11.0]))
    torch.testing.assert_close(advantages, torch.tensor([-2.0, -89.0]))


def test_a_reset_at_the_first_row_changes_nothing_behind_it() -> None:
    column = plain([1.0, 1.0], [7.0, 2.0], [3.0, 4.0, 10.0])
    column.valid[0] = False

    targets, advantages = column.run()

    torch.testing.assert_close(targets, torch.tensor([3.0, 11.0]))
    torch.testing.assert_close(advantages, torch.tensor([0.0, 7.0]))


def test_columns_do_not_mix() -> None:
    one, other = plain([1.0], [1.0], [2.0, 3.0]), plain([0.5], [-1.0], [0.0, 8.0])
    both = vtrace(
        log_ratios=torch.tensor([[0.0, math.log(0.5)]]),
        rewards=torch.tensor([[1.0, -1.0]]),
        values=torch.tensor([[2.0, 0.0], [3.0, 8.0]]),
        terminated=torch.zeros(1, 2, dtype=torch.bool),
        truncated=torch.zeros(1, 2, dtype=torch.bool),
        valid=torch.ones(1, 2, dtype=torch.bool),
        discounting=GAMMA,
    )

    assert torch.equal(both.targets, torch.stack([one.run()[0], other.run()[0]], dim=1))


def test_shapes_are_checked() -> None:
    with pytest.raises(AssertionError):
        vtrace(
            log_ratios=torch.zeros(2, 1),
            rewards=torch.zeros(2, 1),
            values=torch.zeros(2, 1),  # one row too few
            terminated=torch.zeros(2, 1, dtype=torch.bool),
            truncated=torch.zeros(2, 1, dtype=torch.bool),
            valid=torch.ones(2, 1, dtype=torch.bool),
            discounting=GAMMA,
        )
