"""Checks as parametrized tests. pytest is imported only where these decorators are used: it is no requirement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from crl_core.plugins import registry
from crl_core.testing.checks import Check, CheckFailure, NotApplicable, select
from crl_core.testing.experiments import experiment_checks
from crl_core.testing.policies import policy_checks
from crl_core.testing.runners import runner_checks
from crl_core.testing.sources import policy_source

if TYPE_CHECKING:
    import pytest

__all__ = ["parametrize_experiment_checks", "parametrize_policy_checks", "parametrize_runner_checks"]


def parametrize_policy_checks(
    name: str, *, settings: Mapping[str, Any] | None = None, expected_failures: Mapping[str, str] | None = None
) -> pytest.MarkDecorator:
    """Parametrize a test with `check`, every check of a registered policy.

        @parametrize_policy_checks("my-algo", expected_failures={"alignment": "it learns from whole episodes only"})
        def test_conformance(check):
            check()

    Args:
        name: the policy, as it is registered.
        settings: its settings for the checks, over those of its preset `tutorial`, if it has one; `preset` names
            another preset.
        expected_failures: checks that the policy fails by its nature, each with the reason. One that passes all the
            same, or does not apply, is an error.

    Raises:
        UnknownNameError: there is no such policy, preset or check.
        ConfigError: the settings do not validate.
    """
    source = policy_source(registry().policy(name), settings or {})
    return _parametrize(policy_checks(source), expected_failures or {})


def parametrize_experiment_checks(
    name: str, *, expected_failures: Mapping[str, str] | None = None
) -> pytest.MarkDecorator:
    """Parametrize a test with `check`, every check of an experiment and of each of its tasks.

    Args:
        name: the experiment, as `crl run --experiment` takes it.
        expected_failures: checks that it fails by its nature, each with the reason; `autoreset` means that of every
            task, `autoreset[maze]` that of one.

    Raises:
        UnknownNameError: there is no such experiment or check.
        ExperimentError: it does not validate.
    """
    return _parametrize(experiment_checks(name), expected_failures or {})


def parametrize_runner_checks(
    name: str, *, options: Mapping[str, Any] | None = None, expected_failures: Mapping[str, str] | None = None
) -> pytest.MarkDecorator:
    """Parametrize a test with `check`, every check of an environment runner.

    Args:
        name: the runner, as it is registered.
        options: what it is made with besides `num_envs` and `num_steps`.
        expected_failures: checks that it fails by its nature, each with the reason.

    Raises:
        UnknownNameError: there is no such runner or check.
    """
    return _parametrize(runner_checks(name, options or {}), expected_failures or {})


def _parametrize(checks: Sequence[Check], expected_failures: Mapping[str, str]) -> pytest.MarkDecorator:
    import pytest  # noqa: PLC0415  # no requirement of this package

    reasons = {each.name: reason for name, reason in expected_failures.items() for each in select(checks, [name])}
    runs = [_as_test(each, reasons.get(each.name)) for each in checks]
    return pytest.mark.parametrize("check", runs, ids=[each.name for each in checks])


def _as_test(check: Check, expected_failure: str | None) -> Callable[[], None]:
    """Return what runs a check and tells pytest what came of it."""

    def run() -> None:
        import pytest  # noqa: PLC0415  # no requirement of this package

        __tracebackhide__ = True
        try:
            check()
        except NotApplicable as reason:
            if expected_failure is None:
                pytest.skip(f"not applicable: {reason}")
            pytest.fail(f"{check.name} is among expected_failures, but does not apply: {reason}", pytrace=False)
        except Exception as failure:
            if expected_failure is not None:
                pytest.xfail(expected_failure)
            if isinstance(failure, CheckFailure):
                pytest.fail(f"{check.name}: {failure}", pytrace=False)
            raise
        if expected_failure is not None:
            pytest.fail(f"{check.name} is among expected_failures, but passes; take it out", pytrace=False)

    return run
