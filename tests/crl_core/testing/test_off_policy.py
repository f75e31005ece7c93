"""The checks of a policy, put to a learner with a replay buffer: they wait until it learns, and see how."""

from __future__ import annotations

import re

import pytest
from tests.crl_core.testing import q_learner
from tests.crl_core.testing.actor_critic import registered

from crl_core.testing.checks import Check, run_check
from crl_core.testing.policies import policy_checks
from crl_core.testing.sources import policy_source

SLOW = {"runners_supported", "learns_tutorial"}
ABOUT_MODULES = {"light_import"}  # the settings share a module with the policy here


def checks_of(policy: type[q_learner.QLearner]) -> list[Check]:
    return policy_checks(policy_source(registered(policy, q_learner.QLearnerConfig), {}))


SOUND = [check for check in checks_of(q_learner.QLearner) if check.name not in SLOW | ABOUT_MODULES]


@pytest.mark.parametrize("check", SOUND, ids=[check.name for check in SOUND])
def test_a_sound_learner_passes(check: Check) -> None:
    assert run_check(check).outcome == "ok"


@pytest.mark.parametrize(
    ("name", "policy", "message"),
    [
        ("truncation_is_not_termination", q_learner.TakesTruncationForTermination, "bootstrap from the value"),
        ("reset_rows_ignored", q_learner.LearnsFromResets, "use only rows where rollout.valid"),
        ("save_load_continues", q_learner.ForgetsItsTarget, "differ at metrics.0.loss"),
        ("same_seed_same_run", q_learner.SamplesByTheGlobalGenerator, "sample with generator=self.generator"),
    ],
)
def test_a_fault_is_told_by_its_check(name: str, policy: type[q_learner.QLearner], message: str) -> None:
    (check,) = [each for each in checks_of(policy) if each.name == name]
    result = run_check(check)

    assert result.outcome == "failed"
    assert re.search(message, result.message), result.message
