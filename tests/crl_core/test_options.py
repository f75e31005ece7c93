"""Options made from settings, and what a user reads when a setting is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import click
import pytest
from click.testing import CliRunner
from pydantic import Field, field_validator, model_validator

from crl_core.cli.options import describe, find_option, settings_options
from crl_core.config import PolicyConfig
from crl_core.errors import ConfigError, PluginError
from crl_core.validation import validate


class Algorithm(PolicyConfig):
    ignored_settings: ClassVar[Mapping[str, str]] = {"num_buffers": "there are none", "use_tricks": "we play fair"}

    learning_rate: float = Field(7e-4, gt=0, description="Learning rate.")
    num_steps: int = Field(5, ge=1, lt=2**20, description="Steps in a rollout.")
    use_gae: bool = Field(False, description="Whether advantages are generalized.")
    optimizer: Literal["adam", "rmsprop"] = Field("adam", description="The optimizer.")
    sizes: tuple[int, ...] = Field((64, 64), min_length=1, description="Units of each layer.")
    warmup: int | None = Field(None, ge=1, description="Steps before learning starts.")
    label: str = Field("", description="A label.")
    needed: int = Field(description="A number.")

    @model_validator(mode="after")
    def _rule(self) -> Algorithm:
        if self.warmup is not None and self.warmup > self.num_steps:
            raise ValueError("warmup is longer than num_steps")
        return self


def parsed(*arguments: str) -> dict[str, Any]:
    """Return what click makes of a command line, without what was not given."""
    given: dict[str, Any] = {}

    @click.command(params=list(settings_options(Algorithm, group="Settings")))
    def command(**values: Any) -> None:
        given.update({name: value for name, value in values.items() if value is not None})

    result = CliRunner().invoke(command, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return given


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {}),
        (["--learning-rate", "1e-3"], {"learning_rate": "1e-3"}),
        (["--learning_rate=1e-3"], {"learning_rate": "1e-3"}),
        (["--learning-rate", "-1"], {"learning_rate": "-1"}),
        (["--use-gae"], {"use_gae": "true"}),
        (["--use-gae", "--num-steps", "3"], {"use_gae": "true", "num_steps": "3"}),
        (["--use_gae", "true"], {"use_gae": "true"}),
        (["--use-gae=false"], {"use_gae": "false"}),
        (["--num-steps", "1", "--num_steps", "2"], {"num_steps": "2"}),
        (["--num_buffers", "3"], {"num_buffers": "3"}),
        (["--use-tricks"], {"use_tricks": "true"}),
        (["--label", ""], {"label": ""}),
    ],
)
def test_command_line_is_split_and_left_as_text(arguments: list[str], expected: dict[str, str]) -> None:
    assert parsed(*arguments) == expected


def test_rows_say_all_there_is_to_know() -> None:
    rows = {row.name: row for row in describe(Algorithm)}
    assert list(rows) == list(Algorithm.model_fields)
    assert rows["learning_rate"] == ("learning_rate", "NUMBER", "0.0007", "> 0", "Learning rate.")
    assert rows["num_steps"][1:4] == ("INTEGER", "5", ">= 1, < 1048576")
    assert rows["use_gae"][1:4] == ("true|false", "false", "")
    assert rows["optimizer"][1:4] == ("adam|rmsprop", "adam", "")
    assert rows["sizes"][1:4] == ("JSON", "[64, 64]", "at least 1 long")
    assert rows["warmup"][1:3] == ("INTEGER|none", "none")
    assert rows["label"][1:3] == ("TEXT", '""')
    assert rows["needed"][1:3] == ("INTEGER", "")


def test_bounds_of_optional_settings_are_shown() -> None:
    rows = {row.name: row for row in describe(Algorithm)}
    assert rows["warmup"].bounds == ">= 1"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], None),
        (["--policy", "clear"], "clear"),
        (["--seed", "1", "--policy=clear", "--help"], "clear"),
        (["--policy", "ppo", "--policy", "clear"], "clear"),
        (["--policy"], None),
        (["--", "--policy", "clear"], None),
        (["--policies", "clear"], None),
    ],
)
def test_policy_is_found_before_the_real_parse(arguments: list[str], found: str | None) -> None:
    assert find_option(arguments, "policy") == found


def test_find_option_takes_both_spellings() -> None:
    assert find_option(["--config-file", "a"], "config_file") == find_option(["--config_file=a"], "config_file") == "a"


GOOD = {"needed": 1}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": "-1"}, "--learning-rate: should be greater than 0, got -1"),
        ({"learning_rate": "fast"}, "--learning-rate: should be a number, got fast"),
        ({"num_steps": "1.5"}, "--num-steps: should be a whole number, got 1.5"),
        ({"num_steps": 1.5}, "--num-steps: should be a whole number, got 1.5"),
        ({"use_gae": "maybe"}, "--use-gae: should be true or false, got maybe"),
        ({"optimizer": "sgd"}, "--optimizer: should be 'adam' or 'rmsprop', got sgd"),
        ({"sizes": "64,64"}, "--sizes: should be a JSON list, such as [1, 2], got 64,64"),
        ({"sizes": '["a", 1]'}, '--sizes: [0] should be a whole number, got ["a", 1]'),
        ({"label": 3}, "--label: should be text, got 3"),
        ({"label": ["x" * 200]}, "--label: should be text, got ['" + "x" * 75 + "..."),
        ({"learning_rate": ""}, "--learning-rate: should be a number, got ''"),
        ({"lerning_rate": 1}, "--lerning-rate: is not a setting. Did you mean 'learning_rate'?"),
        ({"warmup": 9}, "warmup is longer than num_steps"),
        (
            {"runner": "pipelined"},
            "--runner: runner 'pipelined' is not one this policy supports: batch, sync, full_parallel, got pipelined",
        ),
    ],
)
def test_one_problem_is_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        validate(Algorithm, {**GOOD, **values})
    assert str(raised.value) == message


class Careless(PolicyConfig):
    size: Any = Field(1, description="A size.")

    @field_validator("size")
    @classmethod
    def _positive(cls, size: Any) -> Any:
        return abs(size)


def test_a_policy_that_fails_at_a_setting_is_named() -> None:
    with pytest.raises(
        PluginError, match=r"Careless cannot judge these settings: TypeError: bad operand .* report this"
    ):
        validate(Careless, {"size": []})


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^--needed: is required$"):
        validate(Algorithm, {})


def test_all_problems_come_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        validate(Algorithm, {"learning-rate": "-1", "num_steps": "x", "whatever": 1})
    assert str(raised.value) == (
        "4 settings are wrong:\n"
        "  --learning-rate: should be greater than 0, got -1\n"
        "  --num-steps: should be a whole number, got x\n"
        "  --needed: is required\n"
        "  --whatever: is not a setting."
    )


def test_a_source_is_named_and_its_spelling_used() -> None:
    with pytest.raises(ConfigError) as raised:
        validate(Algorithm, {"learning_rate": -1, "needed": "1"}, source="clear.json, entry 3")
    assert str(raised.value) == "clear.json, entry 3: learning_rate: should be greater than 0, got -1"


def test_names_may_be_spelt_as_flags() -> None:
    assert validate(Algorithm, {"needed": "1", "--learning-rate": "1e-3", "use-gae": "true"}).use_gae
