"""The checks that crl-core has for every experiment."""

from __future__ import annotations

from collections.abc import Callable

from crl_core.testing import parametrize_experiment_checks


@parametrize_experiment_checks("my-maze")
def test_conformance(check: Callable[[], None]) -> None:
    check()
