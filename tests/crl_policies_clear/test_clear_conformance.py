"""The policy passes the core's checks, with its preset `tutorial`."""

from __future__ import annotations

from collections.abc import Callable

from crl_core.testing import parametrize_policy_checks


@parametrize_policy_checks("clear")
def test_conformance(check: Callable[[], None]) -> None:
    check()
