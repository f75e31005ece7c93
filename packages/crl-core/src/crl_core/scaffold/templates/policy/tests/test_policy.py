"""The checks that crl-core has for every policy."""

from __future__ import annotations

from collections.abc import Callable

from crl_core.testing import parametrize_policy_checks


@parametrize_policy_checks("my-algo")
def test_conformance(check: Callable[[], None]) -> None:
    check()
