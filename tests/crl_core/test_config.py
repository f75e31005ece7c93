"""Settings mean the same typed or as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field, ValidationError

from crl_core.config import PolicyConfig, RunConfig, Settings, ThreadCount


class Everything(Settings):
    whole: int = 0
    real: float = 0.0
    switch: bool = False
    text: str = ""
    choice: Literal["a", "b"] = "a"
    count: ThreadCount = "auto"
    word_or_number: int | str = 0
    size: Literal[84, 160] = 84
    maybe: Annotated[int, Field(ge=1)] | None = None
    either: int | float = 0
    maybe_text: str | None = None
    sizes: tuple[int, ...] = ()
    table: Mapping[str, int] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("whole", "25e6", 25_000_000),
        ("whole", "9223372036854775807", 2**63 - 1),
        ("whole", "1_000", 1000),
        ("whole", "-3", -3),
        ("real", "7e-4", 7e-4),
        ("switch", "true", True),
        ("switch", "False", False),
        ("switch", "0", False),
        ("text", "none", "none"),
        ("text", "3", "3"),
        ("count", "auto", "auto"),
        ("count", "8", 8),
        ("count", "1e1", 10),
        ("word_or_number", "007", "007"),
        ("choice", "b", "b"),
        ("size", "160", 160),
        ("maybe", "None", None),
        ("maybe", "2e3", 2000),
        ("either", "0.5", 0.5),
        ("either", "1e3", 1000),
        ("maybe_text", "null", None),
        ("maybe_text", "x", "x"),
        ("sizes", "[64, 32]", (64, 32)),
        ("table", '{"a": 1}', {"a": 1}),
    ],
)
def test_text_is_read_as_the_field_is_typed(name: str, text: str, value: object) -> None:
    read = getattr(Everything.model_validate({name: text}), name)
    assert read == value
    assert type(read) is type(value)
    assert getattr(Everything.model_validate({name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *[("whole", "1.5"), ("whole", "many"), ("whole", "nan"), ("whole", "inf"), ("maybe", "0"), ("sizes", "64,32")],
        *[("whole", "1e300"), ("whole", "9" * 5000), ("whole", "0" * 5000), ("sizes", "[" * 100_000)],
        ("sizes", f"[{'9' * 5000}]"),
    ],
)
def test_what_does_not_fit_is_left_to_the_field_to_refuse(name: str, text: str) -> None:
    with pytest.raises(ValidationError):
        Everything.model_validate({name: text})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("whole", True, "should be a whole number"),
        ("maybe", False, "should be a whole number"),
        ("count", True, "should be a whole number"),
        ("real", True, "should be a number"),
        ("either", True, "should be a whole number"),
        ("whole", 2**63, "should be less than 9223372036854775808"),
        ("whole", 1e300, "should be less than 9223372036854775808"),
        ("maybe", "9223372036854775808", "should be less than 9223372036854775808"),
        ("whole", -(10**400), "should be greater than or equal to -9223372036854775808"),
        ("text", "a\0b", "has a NUL character"),
        ("maybe_text", "\ud800", "has half of a surrogate pair"),
    ],
)
def test_what_a_type_would_take_and_nobody_means_is_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Everything.model_validate({name: value})


def test_bytes_of_a_command_line_that_are_no_text_are_taken() -> None:
    assert Everything(text="caf\udce9").text == "caf\udce9"  # a file may have that name


class Algorithm(PolicyConfig):
    ignored_settings: ClassVar[Mapping[str, str]] = {"num_buffers": "the queue is sized by itself"}
    supported_runners: ClassVar[tuple[str, ...]] = ("pipelined", "batch")


def test_defaults_validate() -> None:
    assert Algorithm().runner == "batch"


def test_runner_must_be_supported() -> None:
    with pytest.raises(ValidationError, match="runner 'sync' is not one this policy supports: pipelined, batch"):
        Algorithm(runner="sync")


@pytest.mark.parametrize(
    ("spelt", "runner"),
    [("full_parallel", "full_parallel"), ("full-parallel", "full_parallel"), ("crl-core/sync", "crl-core/sync")],
)
def test_runners_are_spelt_as_in_the_registry(spelt: str, runner: str) -> None:
    config = PolicyConfig(runner=spelt)
    assert config.runner == runner
    assert config.runner_name == runner.removeprefix("crl-core/")


def test_ignored_settings_are_parted_with_a_reason() -> None:
    kept, warnings = Algorithm.split_ignored({"num_buffers": 3, "runner": "batch"})
    assert kept == {"runner": "batch"}
    assert warnings == ["ignored: num_buffers, because the queue is sized by itself"]


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1", "mps"])
def test_known_devices(device: str) -> None:
    assert RunConfig(policy="p", experiment="e", device=device).device == device


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"device": "gpu"}, "device 'gpu' is unknown; use auto, cpu, cuda, cuda:<index> or mps"),
        *(
            ({"device": each}, f"device '{each}' is unknown")
            for each in ("cuda:x", "cuda:-1", "cuda:256", "cpu:", "auto:0")
        ),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"seed": 2**63}, "less than 9223372036854775808"),
        ({"timesteps_per_save": 0}, "greater than or equal to 1"),
        ({"sed": 1}, "Extra inputs are not permitted"),
    ],
)
def test_run_settings_have_bounds(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RunConfig.model_validate({"policy": "p", "experiment": "e", **wrong})


def test_every_run_setting_is_documented() -> None:
    assert all(field.description for field in RunConfig.model_fields.values())


def test_run_settings_survive_json() -> None:
    config = RunConfig(policy="p", experiment="e", num_timesteps=5, comment="none")
    assert RunConfig.model_validate_json(config.model_dump_json()) == config
