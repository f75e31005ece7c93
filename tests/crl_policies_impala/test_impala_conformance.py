"""The policy and its runner pass the core's checks, with its preset `tutorial`."""

from __future__ import annotations

from collections.abc import Callable

from crl_core.testing import parametrize_policy_checks, parametrize_runner_checks


@parametrize_policy_checks("impala")
def test_conformance(check: Callable[[], None]) -> None:
    check()


@parametrize_runner_checks("pipelined", options={"batch_size": 2})
def test_pipelined_runner(check: Callable[[], None]) -> None:
    check()
