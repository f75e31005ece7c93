"""`policy_checks`: every check of a policy, in order, ready to be run."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

from crl_core.testing import (
    policy_acting_checks,
    policy_learning_checks,
    policy_settings_checks,
    policy_training_checks,
)
from crl_core.testing.checks import Check, demand
from crl_core.testing.policy_subject import PolicySubject
from crl_core.testing.sources import PolicySource

__all__ = ["policy_checks"]

_OF_SETTINGS: tuple[Callable[[PolicySource], None], ...] = (
    policy_settings_checks.light_import,
    policy_settings_checks.config_json_round_trip,
    policy_settings_checks.settings_described,
)
_OF_POLICIES: tuple[Callable[[PolicySubject], None], ...] = (
    policy_acting_checks.actions_in_space,
    policy_acting_checks.inputs_not_mutated,
    policy_acting_checks.compute_action_pure,
    policy_training_checks.same_seed_same_run,
    policy_training_checks.save_load_continues,
    policy_training_checks.task_switch,
    policy_learning_checks.alignment,
    policy_learning_checks.truncation_is_not_termination,
    policy_learning_checks.reset_rows_ignored,
    policy_training_checks.no_nan,
    policy_acting_checks.evaluation_isolated,
    policy_training_checks.runners_supported,
    policy_learning_checks.learns_tutorial,
)


def policy_checks(source: PolicySource) -> list[Check]:
    """Return every check of a policy, each of which makes policies of its own in a temporary directory."""
    package = source.package
    of_settings = [
        Check(check.__name__, demand(check), package, functools.partial(check, source)) for check in _OF_SETTINGS
    ]
    of_policies = [
        Check(check.__name__, demand(check), package, functools.partial(_run, check, source)) for check in _OF_POLICIES
    ]
    return of_settings + of_policies


def _run(check: Callable[[PolicySubject], None], source: PolicySource) -> None:
    with tempfile.TemporaryDirectory(prefix="crl-check-") as directory, PolicySubject(source, Path(directory)) as made:
        check(made)
