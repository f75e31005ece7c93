"""Options made from settings: every field of a pydantic model is one option of the command line.

Click only splits the command line here. Every value stays the text it was, for pydantic to judge, so that a flag and an
entry of a config file mean the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from crl_core.config import PolicyConfig, Settings
from crl_core.validation import flag, setting_name

__all__ = ["SettingOption", "SettingRow", "as_text", "describe", "find_option", "settings_options"]


class SettingRow(NamedTuple):
    """One setting, in words."""

    name: str
    type: str
    default: str
    bounds: str
    meaning: str


class SettingOption(click.Option):
    """An option whose value is a setting, still as text; `group` heads its part of the help."""

    def __init__(self, row: SettingRow, *, group: str, may_be_bare: bool, hidden: bool = False) -> None:
        """Make the option `--some-name`, also `--some_name`; one that may be bare means `true` on its own."""
        self.row = row
        self.group = group
        bare: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if may_be_bare else {}
        super().__init__(
            [row.name, *dict.fromkeys([flag(row.name), f"--{row.name}"])],
            type=click.UNPROCESSED,
            metavar=row.type,
            help=row.meaning,
            hidden=hidden,
            **bare,
        )

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option in its one documented spelling, with its bounds and default."""
        if self.hidden:
            return None
        facts = [self.row.bounds, f"default: {self.row.default}" if self.row.default not in {"", "none"} else ""]
        shown = "; ".join(fact for fact in facts if fact)
        return f"{flag(self.row.name)} {self.row.type}", f"{self.row.meaning}  [{shown}]" if shown else self.row.meaning


def settings_options(model: type[Settings], *, group: str) -> list[SettingOption]:
    """Return one option for every field, and a hidden one for every name the model accepts and ignores."""
    options = [
        SettingOption(row, group=group, may_be_bare=bool in _plain(model.model_fields[row.name].annotation))
        for row in describe(model)
    ]
    ignored = model.ignored_settings if issubclass(model, PolicyConfig) else {}
    return options + [
        SettingOption(SettingRow(name, "TEXT", "", "", why), group=group, may_be_bare=True, hidden=True)
        for name, why in ignored.items()
    ]


def describe(model: type[Settings]) -> list[SettingRow]:
    """Return what there is to know about each setting of a model, in the order it declares them."""
    return [
        SettingRow(
            name=name,
            type=_type(field.annotation),
            default=_default(field),
            bounds=_bounds(field),
            meaning=field.description or "",
        )
        for name, field in model.model_fields.items()
    ]


def find_option(args: Sequence[str], name: str) -> str | None:
    """Return the value an option has in a raw command line, in any of its spellings; the last one wins."""
    found = None
    for index, argument in enumerate(args):
        if argument == "--":
            break
        spelt, equals, value = argument.partition("=")
        if not spelt.startswith("--") or setting_name(spelt) != name:
            continue
        if equals:
            found = value
        elif index + 1 < len(args):
            found = args[index + 1]
    return found


def as_text(value: object) -> str:
    """Return a setting's value as one would write it on the command line."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value or '""'
    try:
        return json.dumps(value)
    except TypeError:
        return str(value)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    return as_text(field.get_default(call_default_factory=True, validated_data={}))


def _bounds(field: FieldInfo) -> str:
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "multiple_of": "a multiple of"}
    lengths = {"min_length": "at least", "max_length": "at most"}
    found = [f"{sign} {as_text(value)}" for sign, value in _limits(field.metadata, signs)]
    found += [f"{words} {value} long" for words, value in _limits(field.metadata, lengths)]
    return ", ".join(found)


def _limits(metadata: Iterable[Any], names: dict[str, str]) -> list[tuple[str, Any]]:
    return [
        (words, value)
        for each in metadata
        for name, words in names.items()
        if (value := getattr(each, name, None)) is not None
    ]


def _plain(annotation: Any) -> list[Any]:
    """Return the alternatives of an annotation: `int | None` gives `[int, NoneType]`."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) is UnionType or str(get_origin(annotation)) == "typing.Union":
        return [each for argument in get_args(annotation) for each in _plain(argument)]
    return [annotation]


def _type(annotation: Any) -> str:
    words = {int: "INTEGER", float: "NUMBER", bool: "true|false", str: "TEXT", NoneType: "none"}
    parts: list[str] = []
    for each in _plain(annotation):
        if get_origin(each) is Literal:
            parts += [as_text(choice) for choice in get_args(each)]
        else:
            parts.append(words.get(each, "JSON"))
    return "|".join(dict.fromkeys(parts))
