"""Settings on the real command line: what `crl run` says about them before anything runs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

Crl = Callable[..., "subprocess.CompletedProcess[str]"]
Install = Callable[..., None]

RUN = ["run", "--policy", "good_one", "--experiment", "tutorial"]


@pytest.fixture(autouse=True)
def _plugins(install: Install) -> None:
    install("fixture-good", "fixture-hollow")


def test_help_shows_the_settings_of_the_chosen_policy(crl: Crl) -> None:
    result = crl("run", "--policy=good-one", "--help")
    assert (result.returncode, result.stderr) == (0, "")
    run, found, policy = result.stdout.partition("Settings of policy good_one:\n")
    assert found
    assert "--seed INTEGER" in run
    assert "--learning-rate NUMBER" in policy
    assert "[> 0; default: 0.0007]" in policy


def test_help_without_a_policy_says_how_to_see_one(crl: Crl) -> None:
    result = crl("run", "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "crl run --policy NAME --help shows them" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["run"], ["--policy: is required", "--experiment: is required"]),
        (["run", "--policy", "good_one"], ["--experiment: is required"]),
        ([*RUN, "--learning-rate", "-1"], ["Error: --learning-rate: should be greater than 0, got -1\n"]),
        (
            [*RUN, "--learning_rate", "-1", "--seed", "x", "--optimizer=sgd"],
            [
                "3 settings are wrong:",
                "  --seed: should be a whole number, got x\n",
                "  --learning-rate: should be greater than 0, got -1\n",
                "  --optimizer: should be 'adam' or 'rmsprop', got sgd\n",
            ],
        ),
        ([*RUN, "--use-gae", "perhaps"], ["--use-gae: should be true or false, got perhaps"]),
        ([*RUN, "--lerning-rate", "1"], ["no option '--lerning-rate'. Did you mean '--learning-rate'?"]),
        ([*RUN, "--learning-rate"], ["'--learning-rate' requires an argument"]),
        ([*RUN, "--preset", "tinny"], ["no preset 'tinny'. Did you mean 'tiny'? Its presets: tiny."]),
        ([*RUN, "--runner", "sync"], ["runner 'sync' is not one this policy supports: batch, got sync\n"]),
        (["run", "--policy", "nobody"], ["unknown policy 'nobody'. `crl list policies` shows what is installed."]),
        (["run", "--policy", "ewc", "--help"], ["belongs to the original system and is not available here yet"]),
        (["run", "--policy", "seedy", "--help"], ["has the setting 'seed', which is reserved"]),
        (["run", "--learning-rate", "1"], ["If it is a setting of a policy, name the policy with --policy."]),
    ],
)
def test_wrong_settings_are_messages(crl: Crl, arguments: list[str], messages: list[str]) -> None:
    result = crl(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for message in messages:
        assert message in result.stderr
