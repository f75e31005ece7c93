"""GAE and n-step returns: numbers worked out by hand, and a slow loop run on each episode by itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
import torch
from tests.rollouts import random_rollout
from torch import Tensor

from crl_core.rollout import Rollout
from crl_policies_ppo.loss import Advantages, gae, n_step

GAMMA = 0.9
LAMBDA = 0.5


def estimate(
    rewards: list[float],
    values: list[float],
    *,
    terminated: Collection[int] = (),
    truncated: Collection[int] = (),
    resets: Collection[int] = (),
    gae_lambda: float | None = LAMBDA,
) -> tuple[list[float], list[float]]:
    """Return advantages and returns of one column; None means n-step."""

    def rows(which: Collection[int]) -> Tensor:
        return torch.tensor([[t in which] for t in range(len(rewards))])

    known: dict[str, Any] = {
        "rewards": torch.tensor(rewards)[:, None],
        "values": torch.tensor(values)[:, None],
        "terminated": rows(terminated),
        "truncated": rows(truncated),
        "valid": ~rows(resets),
        "gamma": GAMMA,
    }
    result = n_step(**known) if gae_lambda is None else gae(**known, gae_lambda=gae_lambda)
    return result.advantages[:, 0].tolist(), result.returns[:, 0].tolist()


def test_an_episode_that_goes_on() -> None:
    advantages, returns = estimate([1.0, 2.0], [0.5, 1.0, 2.0])
    # deltas: 1 + .9*1 - .5 = 1.4 and 2 + .9*2 - 1 = 2.8
    assert advantages == pytest.approx([1.4 + 0.45 * 2.8, 2.8])
    assert returns == pytest.approx([0.5 + 2.66, 3.8])


def test_n_step_of_an_episode_that_goes_on() -> None:
    advantages, returns = estimate([1.0, 2.0], [0.5, 1.0, 2.0], gae_lambda=None)
    assert returns == pytest.approx([1 + 0.9 * 2 + 0.81 * 2, 2 + 0.9 * 2])
    assert advantages == pytest.approx([4.42 - 0.5, 3.8 - 1])


@pytest.mark.parametrize("gae_lambda", [LAMBDA, None])
def test_nothing_is_gained_after_a_terminated_row(gae_lambda: float | None) -> None:
    advantages, returns = estimate([1.0, 7.0], [0.5, 100.0, 9.0], terminated={0}, gae_lambda=gae_lambda)
    assert (advantages[0], returns[0]) == pytest.approx((0.5, 1.0))


@pytest.mark.parametrize("gae_lambda", [LAMBDA, None])
def test_a_truncated_row_bootstraps_and_carries_nothing(gae_lambda: float | None) -> None:
    advantages, returns = estimate([1.0, 7.0], [0.5, 3.0, 9.0], truncated={0}, gae_lambda=gae_lambda)
    assert (advantages[0], returns[0]) == pytest.approx((1 + 0.9 * 3 - 0.5, 1 + 0.9 * 3))


@pytest.mark.parametrize("end", ["terminated", "truncated"])
@pytest.mark.parametrize("gae_lambda", [LAMBDA, None])
def test_a_reset_row_lets_nothing_through(end: str, gae_lambda: float | None) -> None:
    # rows: the end, its reset (value 3 is that of the true last observation), a new episode's first row
    advantages, returns = estimate(
        [1.0, 0.0, 2.0], [0.5, 3.0, 4.0, 5.0], resets={1}, gae_lambda=gae_lambda, **{end: {0}}
    )
    bootstrap = 0.9 * 3 if end == "truncated" else 0.0
    assert returns == pytest.approx([1 + bootstrap, 3.0, 2 + 0.9 * 5])
    assert advantages == pytest.approx([1 + bootstrap - 0.5, 0.0, 2 + 0.9 * 5 - 4])


def test_a_reset_row_at_the_very_start() -> None:
    # the episode before ended with the last rollout's last row
    advantages, returns = estimate([0.0, 1.0], [3.0, 4.0, 5.0], resets={0})
    assert advantages == pytest.approx([0.0, 1 + 4.5 - 4])
    assert returns == pytest.approx([3.0, 5.5])


@pytest.mark.parametrize("gae_lambda", [LAMBDA, None])
def test_an_end_at_the_last_row(gae_lambda: float | None) -> None:
    rewards, values = [1.0, 2.0], [0.5, 1.0, 3.0]
    carried = 0.9 * (LAMBDA if gae_lambda else 1.0)
    terminated, _ = estimate(rewards, values, terminated={1}, gae_lambda=gae_lambda)
    assert terminated == pytest.approx([1.4 + carried * 1.0, 1.0])  # last delta: 2 - 1
    truncated, _ = estimate(rewards, values, truncated={1}, gae_lambda=gae_lambda)
    assert truncated == pytest.approx([1.4 + carried * 3.7, 3.7])  # last delta: 2 + .9*3 - 1


def test_a_truncation_between_rows_of_its_episode() -> None:
    advantages, _ = estimate([1.0, 2.0, 3.0, 4.0], [0.5, 1.0, 1.5, 2.0, 2.5], truncated={1})
    # deltas: 1 + .9*1 - .5, 2 + .9*1.5 - 1, 3 + .9*2 - 1.5, 4 + .9*2.5 - 2; the second one takes nothing from the third
    assert advantages == pytest.approx([1.4 + 0.45 * 2.35, 2.35, 3.3 + 0.45 * 4.25, 4.25])


def test_two_resets_in_one_column() -> None:
    # an episode truncated at once, its reset, one terminated at once, its reset, one that goes on
    advantages, returns = estimate(
        [1.0, 9.0, 2.0, 9.0, 3.0], [0.5, 1.0, 1.5, 2.0, 2.5, 4.0], truncated={0}, terminated={2}, resets={1, 3}
    )
    assert advantages == pytest.approx([1 + 0.9 - 0.5, 0.0, 2 - 1.5, 0.0, 3 + 0.9 * 4 - 2.5])
    assert returns == pytest.approx([1.9, 1.0, 2.0, 2.0, 6.6])


def test_a_column_of_resets_alone() -> None:
    assert estimate([9.0, 9.0], [1.0, 2.0, 3.0], resets={0, 1}) == ([0.0, 0.0], [1.0, 2.0])


def slow_episode(rewards: Tensor, values: Tensor, bootstrap: float, gae_lambda: float) -> list[float]:
    """Return the exponentially weighted mean of all k-step advantages, equation (16), of one episode."""
    steps = len(rewards)
    following = [*values[1:].tolist(), bootstrap]
    advantages = []
    for t in range(steps):
        k_steps = []
        for k in range(1, steps - t + 1):
            gained = sum(GAMMA**i * float(rewards[t + i]) for i in range(k))
            k_steps.append(gained + GAMMA**k * following[t + k - 1] - float(values[t]))
        weights = [(1 - gae_lambda) * gae_lambda**i for i in range(len(k_steps) - 1)] + [
            gae_lambda ** (len(k_steps) - 1)
        ]
        advantages.append(sum(weight * k_step for weight, k_step in zip(weights, k_steps, strict=True)))
    return advantages


def slow(rollout: Rollout, values: Tensor, gae_lambda: float) -> Tensor:
    """Return the advantages of each episode by itself; 0 at reset rows."""
    result = torch.zeros_like(rollout.rewards)
    for n in range(rollout.num_columns):
        start = 0
        for t in range(rollout.num_steps):
            if not rollout.valid[t, n]:
                start = t + 1
                continue
            over = bool(rollout.terminated[t, n] | rollout.truncated[t, n])
            if over or t == rollout.num_steps - 1:
                episode = slice(start, t + 1)
                bootstrap = 0.0 if rollout.terminated[t, n] else float(values[t + 1, n])
                result[episode, n] = torch.tensor(
                    slow_episode(rollout.rewards[episode, n], values[episode, n], bootstrap, gae_lambda)
                )
                start = t + 1
    return result


@pytest.mark.parametrize("gae_lambda", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_equals_the_separate_episodes(gae_lambda: float, seed: int) -> None:
    rollout = random_rollout(num_steps=30, num_columns=6, num_actions=3, head=3, seed=seed)
    assert rollout.terminated.any()
    assert rollout.truncated.any()
    assert not rollout.valid.all()
    values = torch.randn(31, 6, generator=torch.Generator().manual_seed(seed))

    def run(gae_lambda: float | None) -> Advantages:
        ends = {name: getattr(rollout, name) for name in ("terminated", "truncated", "valid")}
        if gae_lambda is None:
            return n_step(rewards=rollout.rewards, values=values, gamma=GAMMA, **ends)
        return gae(rewards=rollout.rewards, values=values, gamma=GAMMA, gae_lambda=gae_lambda, **ends)

    expected = slow(rollout, values, gae_lambda)
    result = run(gae_lambda)
    torch.testing.assert_close(result.advantages, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(result.returns, values[:-1] + expected, rtol=1e-4, atol=1e-5)
    if gae_lambda == 1.0:
        torch.testing.assert_close(run(None).advantages, expected, rtol=1e-4, atol=1e-5)


def test_wrong_shapes_are_refused() -> None:
    rows = torch.zeros(2, 1)
    flags = rows.bool()
    with pytest.raises(AssertionError):
        gae(rewards=rows, values=rows, terminated=flags, truncated=flags, valid=flags, gamma=GAMMA, gae_lambda=LAMBDA)
