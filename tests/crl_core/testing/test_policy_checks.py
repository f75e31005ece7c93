"""The checks of a policy: a sound one passes them all, and one that is broken in one place is told by its check."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.crl_core.testing import broken_policies as broken
from tests.crl_core.testing.actor_critic import ActorCritic, registered
from tests.crl_core.testing.actor_critic_config import ActorCriticConfig

from crl_core.config import PolicyConfig
from crl_core.errors import UnknownNameError
from crl_core.experiment import Experiment
from crl_core.plugins import registry
from crl_core.policy import Policy
from crl_core.testing import policy_learning_checks
from crl_core.testing.checks import Check, CheckFailure, run_check, select
from crl_core.testing.policies import policy_checks
from crl_core.testing.sources import policy_source
from crl_core.tutorial import tutorial

SOUND = policy_checks(policy_source(registered(ActorCritic, ActorCriticConfig), {}))

FAULTS: list[tuple[str, type[Policy[Any]], str]] = [
    ("alignment", broken.LearnsFromPreviousReward, "is rewards\\[t\\] paired with observations\\[t\\]"),
    ("alignment", broken.LearnsFromNextReward, "where chance is 33%"),
    ("alignment", broken.LearnsFromNextObservation, "where chance is 33%"),
    ("alignment", broken.LearnsFromPreviousAction, "where chance is 33%"),
    ("alignment", broken.LearnsTheOpposite, "answers 0% of cues"),
    ("truncation_is_not_termination", broken.TakesTruncationForTermination, "bootstrap from the value"),
    ("truncation_is_not_termination", broken.BootstrapsFromTheNextEpisode, "whatever truncated episodes show at last"),
    ("reset_rows_ignored", broken.LearnsFromResets, "use only rows where rollout.valid"),
    ("reset_rows_ignored", broken.MasksOnlyTheLoss, "cut every recursion over time"),
    ("reset_rows_ignored", broken.BootstrapsFromTerminalObservations, "nothing comes after such an end"),
    ("compute_action_pure", broken.CountsItsSteps, "changed attributes.steps of the policy"),
    ("compute_action_pure", broken.ActsByTheGlobalGenerator, "pass generator=self.generator"),
    ("same_seed_same_run", broken.ActsByTheGlobalGenerator, "differ at metrics"),
    ("same_seed_same_run", broken.TrainsByTheGlobalGenerator, "differ at metrics"),
    ("save_load_continues", broken.ForgetsItsOptimizer, "the optimizer, counters"),
    ("save_load_continues", broken.SavesMoreThanPlainData, "torch.load\\(weights_only=True\\) refuses"),
    ("evaluation_isolated", broken.EvaluatesItself, "an evaluation changed state_dict.generator"),
    ("evaluation_isolated", broken.DropsTheOptimizerOnEvaluation, "an evaluation changed .*optimizer"),
    ("no_nan", broken.MeansOverNoRows, "all resets left NaN or infinity in metrics.0.mean_reward"),
    ("no_nan", broken.NormalizesByNothing, "left NaN or infinity"),
    ("learns_tutorial", broken.LearnsTheOpposite, "steps of 'catch' the mean return is -"),
    ("actions_in_space", broken.TakesMissingActions, "which is not inside Discrete\\(3\\)"),
    ("actions_in_space", broken.ActsBetweenMinusOneAndOne, "which is not inside Box\\(2.0, 5.0"),
    ("actions_in_space", broken.SaysNothingOfItsActions, "returned a Tensor, where a TimestepData was expected"),
    ("inputs_not_mutated", broken.ClipsInPlace, "train changed the rollouts it was given, at 0.rewards"),
    ("inputs_not_mutated", broken.ScalesObservationsInPlace, "compute_action changed its observations"),
    ("task_switch", broken.StartsEveryTaskAnew, "on_task_start\\('few'\\) changed the weights"),
    ("runners_supported", broken.CannotBeSent, "cannot send policy CannotBeSent"),
]


def check_of(name: str, policy: type[Policy[Any]], config: type[PolicyConfig] = ActorCriticConfig) -> Check:
    (check,) = select(policy_checks(policy_source(registered(policy, config), {})), [name])
    return check


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on learning sooner; the sound policy needs less than this."""
    task = tutorial().tasks[0].model_copy(update={"num_timesteps": 3000})
    monkeypatch.setattr(policy_learning_checks, "tutorial", lambda: Experiment(tasks=(task,)))
    monkeypatch.setattr(policy_learning_checks, "_CUES", 3000)


@pytest.mark.parametrize("check", SOUND, ids=[check.name for check in SOUND])
def test_a_sound_policy_passes(check: Check) -> None:
    check()


@pytest.mark.usefixtures("_short")
@pytest.mark.parametrize(
    ("name", "policy", "message"), FAULTS, ids=[f"{name}-{kind.__name__}" for name, kind, _ in FAULTS]
)
def test_a_fault_is_told_by_its_check(name: str, policy: type[Policy[Any]], message: str) -> None:
    result = run_check(check_of(name, policy))

    assert result.outcome == "failed"
    assert re.search(message, result.message), result.message


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("config_json_round_trip", broken.Rounded, "the defaults: gamma=0.9 comes back from JSON as 0.45"),
        ("settings_described", broken.Undescribed, "setting 'secret' has no description"),
        ("settings_described", broken.Unreasoned, "'cuda' has no reason"),
    ],
)
def test_a_fault_of_settings_is_told_by_its_check(name: str, config: type[PolicyConfig], message: str) -> None:
    result = run_check(check_of(name, ActorCritic, config))

    assert result.outcome == "failed"
    assert message in result.message


def test_a_setting_without_a_default_is_told() -> None:
    source = policy_source(registered(ActorCritic, broken.Required), {"secret": 1})
    (check,) = select(policy_checks(source), ["settings_described"])

    with pytest.raises(CheckFailure, match="setting 'secret' has no default"):
        check()


def test_a_config_module_that_loads_torch_is_told() -> None:
    result = run_check(check_of("light_import", ActorCritic, broken.Rounded))

    assert result.outcome == "failed"
    assert "loads gymnasium, numpy, torch" in result.message


@pytest.mark.parametrize(
    "name", ["actions_in_space", "task_switch", "alignment", "reset_rows_ignored", "truncation_is_not_termination"]
)
def test_a_policy_for_continuous_actions_is_checked_on_tasks_that_have_them(name: str) -> None:
    check_of(name, broken.OnlyContinuous)()


def test_a_policy_that_plays_none_of_the_tasks_is_told_why() -> None:
    result = run_check(check_of("no_nan", broken.RefusesEverything))

    assert result.outcome == "failed"
    assert result.message.startswith("the policy refuses every task the checks have:")
    assert result.message.count("this policy plays nothing") == 4


def test_a_policy_that_fails_on_tasks_it_could_refuse_is_told_how() -> None:
    result = run_check(check_of("no_nan", broken.FailsOnImages))

    assert result.outcome == "failed"
    assert "raised RuntimeError: Kernel size can't be greater than actual input size (" in result.message
    assert "That was with Box(0, 255, (1, 6, 6), uint8) and Discrete(3)" in result.message
    assert "refuse in build(), with crl_core.errors.ExperimentError" in result.message


@pytest.mark.usefixtures("_short")
def test_a_policy_that_learns_nothing_is_not_said_to_learn_from_the_right_rows() -> None:
    checks = policy_checks(policy_source(registry().policy("random"), {}))
    names = ["alignment", "reset_rows_ignored", "truncation_is_not_termination"]
    results = [run_check(check) for check in select(checks, names)]

    assert [result.outcome for result in results] == ["not applicable"] * 3
    assert all("changed no weight" in result.message for result in results)


def test_what_a_policy_raises_is_told_with_the_place_in_its_own_code() -> None:
    result = run_check(check_of("no_nan", broken.RaisesItsOwn))

    assert result.outcome == "failed"
    assert re.match(r"raised KeyError: 'values' \(.*broken_policies\.py:\d+, in loss\)", result.message)
    assert "Traceback" in result.traceback


def test_settings_go_before_those_of_a_preset_and_tutorial_is_the_default_one() -> None:
    path = "tests.crl_core.testing.actor_critic_config"
    entry = registered(ActorCritic, presets={"tutorial": f"{path}:tutorial_preset", "long": f"{path}:long_preset"})

    configs = [policy_source(entry, settings).config for settings in ({}, {"preset": "long", "gamma": "0.5"})]

    assert [(config.num_steps, config.gamma) for config in configs] == [(7, 0.9), (100, 0.5)]


def test_checks_are_chosen_by_name() -> None:
    with pytest.raises(UnknownNameError, match=r"there is no check 'aligment'\. Did you mean 'alignment'"):
        select(SOUND, ["aligment"])
