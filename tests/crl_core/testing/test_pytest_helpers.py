"""Checks as parametrized tests: what each outcome becomes, with and without an expected failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from crl_core import testing
from crl_core.errors import ConfigError, UnknownNameError
from crl_core.testing import parametrize_experiment_checks, parametrize_policy_checks, parametrize_runner_checks
from crl_core.testing import pytest_helpers as module
from crl_core.testing.checks import Check, CheckFailure, NotApplicable


def passes() -> None:
    """Say nothing."""


def fails() -> None:
    raise CheckFailure("expected one, saw two")


def breaks() -> None:
    raise KeyError("values")


def does_not_apply() -> None:
    raise NotApplicable("it has no weights")


def as_tests(expected_failures: Mapping[str, str]) -> dict[str, Callable[[], None]]:
    checks = [Check(each.__name__, "", "tests", each) for each in (passes, fails, breaks, does_not_apply)]
    mark = module._parametrize(checks, expected_failures).mark
    return dict(zip(mark.kwargs["ids"], mark.args[1], strict=True))


def test_each_outcome_is_pytests_own() -> None:
    tests = as_tests({})
    tests["passes"]()
    with pytest.raises(pytest.fail.Exception, match="fails: expected one, saw two"):
        tests["fails"]()
    with pytest.raises(KeyError):
        tests["breaks"]()
    with pytest.raises(pytest.skip.Exception, match="not applicable: it has no weights"):
        tests["does_not_apply"]()


@pytest.mark.parametrize("name", ["fails", "breaks"])
def test_an_expected_failure_is_one_for_pytest(name: str) -> None:
    with pytest.raises(pytest.xfail.Exception, match="by its nature"):
        as_tests({name: "by its nature"})[name]()


def test_an_expected_failure_that_does_not_come_is_a_failure() -> None:
    tests = as_tests({"passes": "by its nature", "does_not_apply": "by its nature"})
    with pytest.raises(pytest.fail.Exception, match="passes is among expected_failures, but passes"):
        tests["passes"]()
    with pytest.raises(pytest.fail.Exception, match="among expected_failures, but does not apply: it has no weights"):
        tests["does_not_apply"]()


@pytest.mark.parametrize(
    ("parametrize", "error", "message"),
    [
        (lambda: parametrize_policy_checks("randum"), UnknownNameError, "Did you mean 'random'"),
        (lambda: parametrize_policy_checks("random", settings={"num_env": 1}), ConfigError, "Did you mean 'num_envs'"),
        (
            lambda: parametrize_policy_checks("random", expected_failures={"aligment": "no"}),
            UnknownNameError,
            "there is no check 'aligment'. Did you mean 'alignment'",
        ),
        (lambda: parametrize_experiment_checks("tutoriel"), UnknownNameError, "Did you mean 'tutorial'"),
        (lambda: parametrize_runner_checks("bath"), UnknownNameError, "Did you mean 'batch'"),
    ],
)
def test_names_that_do_not_exist_are_told_when_tests_are_collected(
    parametrize: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        parametrize()


def test_a_tasks_check_can_be_expected_to_fail_for_all_tasks_or_for_one() -> None:
    one, all_tasks = (
        parametrize_experiment_checks("tutorial", expected_failures={name: "no reason"}).mark
        for name in ("close_twice[catch]", "close_twice")
    )

    def outcome(mark: Any, task: str) -> str:
        tests = dict(zip(mark.kwargs["ids"], mark.args[1], strict=True))
        try:
            tests[f"close_twice[{task}]"]()
        except pytest.fail.Exception:
            return "unexpectedly passed"
        return "passed"

    assert [outcome(one, task) for task in ("catch", "mirrored_catch")] == ["unexpectedly passed", "passed"]
    assert [outcome(all_tasks, task) for task in ("catch", "mirrored_catch")] == ["unexpectedly passed"] * 2


def test_public_names_are_what_their_modules_export() -> None:
    assert sorted(testing.__all__) == dir(testing)
    for name in testing.__all__:
        assert getattr(testing, name).__name__ == name
