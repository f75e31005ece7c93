"""A command whose options are those of the policy that its arguments name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from crl_core.cli.settings_command import SettingsCommand
from crl_core.config import PolicyConfig
from crl_core.errors import ConfigError, CrlError, PluginError, UnknownNameError
from crl_core.plugins import registry
from crl_core.policy_settings import policy_config_class, preset_settings


@pytest.fixture(autouse=True)
def _plugins(site: Path, install: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    install("fixture-good", "fixture-hollow")
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)
    registry.cache_clear()
    yield
    registry.cache_clear()
    for name in set(sys.modules) - before:
        if name.startswith("fixture_"):
            del sys.modules[name]


def invoke(*arguments: str) -> tuple[dict[str, Any], Result]:
    given: dict[str, Any] = {}

    @click.command("train", cls=SettingsCommand)
    @click.option("--dry-run", is_flag=True, help="Only show.")
    def train(**values: Any) -> None:
        """Train."""
        given.update(values)

    return given, CliRunner().invoke(train, list(arguments), prog_name="crl train", terminal_width=120)


def error_of(*arguments: str) -> CrlError:
    _, result = invoke(*arguments)
    assert isinstance(result.exception, CrlError), result.output
    return result.exception


def test_callback_gets_its_own_options_and_the_settings_that_were_given() -> None:
    given, result = invoke("--policy", "good-one", "--use-gae", "--seed=3", "--num_buffers", "4", "--dry-run")
    assert result.exit_code == 0, result.output
    assert given == {
        "dry_run": True,
        "settings": {"policy": "good-one", "use_gae": "true", "seed": "3", "num_buffers": "4"},
    }


def test_help_of_a_policy_has_a_section_for_each_group() -> None:
    _, result = invoke("--policy=good_one", "--help")
    options, _, rest = result.output.partition("Run settings:\n")
    run, _, policy = rest.partition("Settings of policy good_one:\n")
    assert "--dry-run" in options
    assert "--seed INTEGER" in run
    assert "[>= 0, < 9223372036854775808; default: 0]" in " ".join(run.split())
    assert "--learning-rate NUMBER" in policy
    assert "Learning rate.  [> 0; default: 0.0007]" in policy
    assert "--use-gae true|false" in policy
    assert "--optimizer adam|rmsprop" in policy
    assert "_rate" not in policy
    assert "num_buffers" not in result.output


def test_help_without_a_policy_says_how_to_see_one() -> None:
    _, result = invoke("--help")
    assert "--seed INTEGER" in result.output
    assert "crl train --policy NAME --help shows them" in result.output
    assert "crl list policies" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--policy", "good_one", "--lerning_rate", "1"),
            "there is no option '--lerning_rate'. Did you mean '--learning-rate'?",
        ),
        (
            ("--policy", "good_one", "--sede", "1"),
            "there is no option '--sede'. Did you mean '--seed'?",
        ),
        (
            ("--gae-lambda", "1"),
            "there is no option '--gae-lambda'. If it is a setting of a policy, name the policy with --policy.",
        ),
    ],
)
def test_unknown_option(arguments: tuple[str, ...], message: str) -> None:
    error = error_of(*arguments)
    assert isinstance(error, ConfigError)
    policy = arguments[1] if arguments[0] == "--policy" else "NAME"
    assert str(error) == f"{message} `crl train --policy {policy} --help` shows all."


def test_unknown_policy() -> None:
    error = error_of("--policy", "good_onne", "--help")
    assert isinstance(error, UnknownNameError)
    assert "Did you mean 'good_one'?" in str(error)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (
            "absent",
            "names 'fixture_hollow.config:NoSuchConfig', which cannot be loaded: AttributeError",
        ),
        (
            "foreign",
            "as the settings of policy 'foreign', but it is no subclass of crl_core.PolicyConfig",
        ),
        (
            "seedy",
            "has the setting 'seed', which is reserved for a setting that every run has",
        ),
        (
            "torn",
            "has the setting 'device', which is ignored, but every run has that setting",
        ),
    ],
)
def test_settings_that_cannot_be_used_are_the_plugins_fault(policy: str, message: str) -> None:
    error = error_of("--policy", policy, "--help")
    assert isinstance(error, PluginError)
    assert "fixture-hollow 1.0" in str(error)
    assert message in str(error)


def test_config_class_and_preset() -> None:
    entry = registry().policy("good_one")
    assert issubclass(policy_config_class(entry), PolicyConfig)
    assert preset_settings(entry, "tiny") == {"hidden_sizes": [8], "learning_rate": 0.1}


@pytest.mark.parametrize(
    ("policy", "preset", "message"),
    [
        ("good_one", "tinny", "policy 'good_one' has no preset 'tinny'. Did you mean 'tiny'? Its presets: tiny."),
        ("absent", "raising", "preset 'raising' of policy 'absent' (fixture-hollow 1.0) failed: KeyError: 'gamma'"),
        ("absent", "listing", "returned a list, where a mapping of settings was expected"),
    ],
)
def test_presets_that_do_not_work(policy: str, preset: str, message: str) -> None:
    with pytest.raises(PluginError) as raised:
        preset_settings(registry().policy(policy), preset)
    assert message in str(raised.value)
