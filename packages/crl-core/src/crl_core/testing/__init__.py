"""For authors of plugins: checks of policies, experiments and runners, and fakes to test against.

    from crl_core.testing import parametrize_policy_checks

    @parametrize_policy_checks("my-algo")
    def test_conformance(check):
        check()

`crl check policy my-algo` runs the same checks. A check that says nothing about a plugin is skipped, with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crl_core.lazy import lazy_attributes

if TYPE_CHECKING:
    from crl_core.testing.checks import Check, CheckFailure, NotApplicable, Result, run_check
    from crl_core.testing.contracts import check_rollout, check_timestep_data
    from crl_core.testing.cue_task import CueTask
    from crl_core.testing.experiments import experiment_checks
    from crl_core.testing.fakes import FakePolicy, FakeRunner
    from crl_core.testing.policies import policy_checks
    from crl_core.testing.pytest_helpers import (
        parametrize_experiment_checks,
        parametrize_policy_checks,
        parametrize_runner_checks,
    )
    from crl_core.testing.runners import runner_checks
    from crl_core.testing.sources import policy_source
    from crl_core.testing.trace_task import TraceTask
    from crl_core.testing.vector_envs import check_vector_envs

__all__ = [
    "Check",
    "CheckFailure",
    "CueTask",
    "FakePolicy",
    "FakeRunner",
    "NotApplicable",
    "Result",
    "TraceTask",
    "check_rollout",
    "check_timestep_data",
    "check_vector_envs",
    "experiment_checks",
    "parametrize_experiment_checks",
    "parametrize_policy_checks",
    "parametrize_runner_checks",
    "policy_checks",
    "policy_source",
    "run_check",
    "runner_checks",
]

_MODULES = {
    "Check": "checks",
    "CheckFailure": "checks",
    "CueTask": "cue_task",
    "FakePolicy": "fakes",
    "FakeRunner": "fakes",
    "NotApplicable": "checks",
    "Result": "checks",
    "TraceTask": "trace_task",
    "check_rollout": "contracts",
    "check_timestep_data": "contracts",
    "check_vector_envs": "vector_envs",
    "experiment_checks": "experiments",
    "parametrize_experiment_checks": "pytest_helpers",
    "parametrize_policy_checks": "pytest_helpers",
    "parametrize_runner_checks": "pytest_helpers",
    "policy_checks": "policies",
    "policy_source": "sources",
    "run_check": "checks",
    "runner_checks": "runners",
}

__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
