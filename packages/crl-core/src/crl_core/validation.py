"""`validate`: pydantic's verdict on settings, in words for the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from crl_core.config import RunConfig, Settings
from crl_core.errors import ConfigError, CrlError, PluginError, did_you_mean

__all__ = ["flag", "listed", "problems", "setting_name", "shortened", "shown", "summary", "validate"]

SettingsT = TypeVar("SettingsT", bound=Settings)

_MOST_PROBLEMS = 20  # that one message lists
_LONGEST_LINE = 500  # letters

# Where pydantic's own words would puzzle somebody who knows no Python types.
_WORDS = {
    "missing": "is required",
    "int_parsing": "should be a whole number",
    "int_type": "should be a whole number",
    "int_parsing_size": "should be a whole number that fits into 64 bits",
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
    """Return what is wrong with `values` as settings of `model`, one line each; see `validate`.

    Raises:
        PluginError: the settings' own checks fail at them.
    """
    given = {setting_name(name): value for name, value in values.items()}
    try:
        model.model_validate(given)
    except ValidationError as error:
        by_setting: dict[str | None, list[str]] = {}
        for problem in error.errors(include_url=False):
            name = str(problem["loc"][0]) if problem["loc"] else None
            by_setting.setdefault(name, []).append(_words(model, problem))
        return [_line(name, words, given, source) for name, words in by_setting.items()]
    except CrlError:
        raise
    except Exception as error:
        raise PluginError(
            f"{model.__module__}.{model.__qualname__} cannot judge these settings: {type(error).__name__}: {error}. "
            "Update the package it is in, or report this to its authors."
        ) from error
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
        hint = did_you_mean(str(where[0]).lower(), {**model.model_fields, **RunConfig.model_fields})
        return f"is not a setting.{hint}"
    words = _WORDS.get(kind, str(problem["msg"]).removeprefix("Input ").removeprefix("Value error, "))
    index = "".join(f"[{part}]" for part in where[1:] if isinstance(part, int))
    return f"{index} {words}".strip()


def _line(name: str | None, words: Sequence[str], given: Mapping[str, Any], source: str) -> str:
    text = ", or ".join(dict.fromkeys(words))
    if name is None:
        return text  # a rule about several settings, which names them itself
    got = f", got {shown(given[name])}" if name in given and not text.startswith("is not a setting") else ""
    return f"{shown(name if source else flag(name))}: {text}{got}"


def shown(value: object) -> str:
    """Return a value for a message: text as it is, where a terminal can show it, and cut where it is long."""
    plain = isinstance(value, str) and value.strip() and value.isprintable()
    text = str(value) if plain else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def shortened(text: str) -> str:
    """Return text, the middle of each of its long lines left out; the beginning says where, the end what to do."""
    half = _LONGEST_LINE // 2
    return "\n".join(
        line if len(line) <= _LONGEST_LINE else f"{line[:half]} [...] {line[-half:]}" for line in text.split("\n")
    )


def summary(lines: Sequence[str], *, source: str = "") -> str:
    """Return one message that lists problems, each a line of `problems`."""
    where = f"{source}: " if source else ""
    if len(lines) == 1:
        return where + lines[0]
    return "\n  ".join([f"{where}{len(lines)} settings are wrong:", *listed(lines)])


def listed(problems: Sequence[str]) -> list[str]:
    """Return the problems that a message lists: all, but where they are very many, the first and how many are left."""
    more = len(problems) - _MOST_PROBLEMS
    return [*problems[:_MOST_PROBLEMS], *([f"and {more:,} more"] if more > 0 else [])]
