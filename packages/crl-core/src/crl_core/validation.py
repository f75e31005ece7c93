"""`validate`: pydantic's verdict on settings, in words for the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from crl_core.config import RunConfig, Settings
from crl_core.errors import ConfigError, did_you_mean

__all__ = ["flag", "problems", "setting_name", "summary", "validate"]

SettingsT = TypeVar("SettingsT", bound=Settings)

# Where pydantic's own words would puzzle somebody who knows no Python types.
_WORDS = {
    "missing": "is required",
    "int_parsing": "should be a whole number",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_parsing": "should be a number",
    "float_type": "should be a number",
    "bool_parsing": "should be true or false",
    "bool_type": "should be true or false",
    "string_type": "should be text",
    "list_type": "should be a JSON list, such as [1, 2]",
    "tuple_type": "should be a JSON list, such as [1, 2]",
    "dict_type": 'should be a JSON object, such as {"a": 1}',
    "mapping_type": 'should be a JSON object, such as {"a": 1}',
}


def validate(model: type[SettingsT], values: Mapping[str, Any], *, source: str = "") -> SettingsT:
    """Return `values` as an instance of `model`.

    Args:
        model: the settings to make.
        values: settings by name, with `-` or `_`, each typed or as text.
        source: where the values come from, such as a file and the entry in it; empty means the command line, whose
            messages name flags.

    Raises:
        ConfigError: names every problem at once, one line each.
    """
    found = problems(model, values, source=source)
    if found:
        raise ConfigError(summary(found, source=source))
    return model.model_validate({setting_name(name): value for name, value in values.items()})


def problems(model: type[Settings], values: Mapping[str, Any], *, source: str = "") -> list[str]:
    """Return what is wrong with `values` as settings of `model`, one line each; see `validate`."""
    given = {setting_name(name): value for name, value in values.items()}
    try:
        model.model_validate(given)
    except ValidationError as error:
        by_setting: dict[str, list[str]] = {}
        for problem in error.errors(include_url=False):
            name = str(problem["loc"][0]) if problem["loc"] else ""
            by_setting.setdefault(name, []).append(_words(model, problem))
        return [_line(name, words, given, source) for name, words in by_setting.items()]
    return []


def setting_name(name: str) -> str:
    """Return the name of a setting however it was spelt: `--learning-rate` is `learning_rate`."""
    return name.removeprefix("--").replace("-", "_")


def flag(name: str) -> str:
    """Return how a setting is spelt on the command line: `learning_rate` is `--learning-rate`."""
    return f"--{name.replace('_', '-')}"


def _words(model: type[Settings], problem: Mapping[str, Any]) -> str:
    kind, where = problem["type"], problem["loc"]
    if kind == "extra_forbidden":
        hint = did_you_mean(str(where[0]), {**model.model_fields, **RunConfig.model_fields})
        return f"is not a setting.{hint}"
    words = _WORDS.get(kind, str(problem["msg"]).removeprefix("Input ").removeprefix("Value error, "))
    index = "".join(f"[{part}]" for part in where[1:] if isinstance(part, int))
    return f"{index} {words}".strip()


def _line(name: str, words: Sequence[str], given: Mapping[str, Any], source: str) -> str:
    text = ", or ".join(dict.fromkeys(words))
    if not name:
        return text  # a rule about several settings, which names them itself
    got = f", got {_shown(given[name])}" if name in given and not text.startswith("is not a setting") else ""
    return f"{name if source else flag(name)}: {text}{got}"


def _shown(value: object) -> str:
    text = value if isinstance(value, str) and value.strip() else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def summary(lines: Sequence[str], *, source: str = "") -> str:
    """Return one message that lists problems, each a line of `problems`."""
    where = f"{source}: " if source else ""
    if len(lines) == 1:
        return where + lines[0]
    return "\n  ".join([f"{where}{len(lines)} settings are wrong:", *lines])
