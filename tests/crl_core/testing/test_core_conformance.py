"""The core's own policy and experiment pass the checks it has for others'."""

from __future__ import annotations

from collections.abc import Callable

from crl_core.testing import parametrize_experiment_checks, parametrize_policy_checks


@parametrize_policy_checks("random", expected_failures={"learns_tutorial": "it does not learn"})
def test_random(check: Callable[[], None]) -> None:
    check()


@parametrize_experiment_checks("tutorial")
def test_tutorial(check: Callable[[], None]) -> None:
    check()


@parametrize_experiment_checks("gym:CartPole-v1")
def test_cart_pole(check: Callable[[], None]) -> None:
    check()
