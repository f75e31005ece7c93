"""What a new package is called, and whether it may be called so."""

from __future__ import annotations

import importlib.util
import keyword
import re
from dataclasses import dataclass
from typing import Any, Literal

from crl_core.errors import ConfigError
from crl_core.loading import same_name
from crl_core.plugins import Registered, registry

__all__ = ["Kind", "Names", "choose_names"]

Kind = Literal["policy", "task"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_][A-Za-z0-9]+)*")
_LONGEST_NAME = 30  # longer ones would not fit on the lines of the code they are put into
_LONGEST_DISTRIBUTION = 45
_PREFIXES: dict[Kind, str] = {"policy": "crl-policies-", "task": "crl-tasks-"}


@dataclass(frozen=True)
class Names:
    """What a new package and the things in it are called.

    Attributes:
        name: the name users give to `crl run`.
        distribution: the name users give to pip.
    """

    name: str
    distribution: str

    @property
    def module(self) -> str:
        """The name of the package in Python."""
        return self.distribution.replace("-", "_").lower()

    @property
    def class_prefix(self) -> str:
        """What the names of classes begin with."""
        return "".join(part[0].upper() + part[1:] for part in re.split("[-_]", self.name))


def choose_names(kind: Kind, name: str, distribution: str | None) -> Names:
    """Return the names of a new package, checked.

    Args:
        kind: what the package is to hold.
        name: the name of the policy or the experiment.
        distribution: the name of the package; None derives it from `name`.

    Raises:
        ConfigError: a name is not of the right form, or is taken.
    """
    _check_form(name, f"the {kind}'s name", _LONGEST_NAME)
    if name.lower() in _PREFIXES:
        raise ConfigError(f"'{name}' says only what kind of package this is; choose a name of its own")
    if distribution is None:
        distribution = _PREFIXES[kind] + name.replace("_", "-").lower()
    _check_form(distribution, "the distribution", _LONGEST_DISTRIBUTION)
    names = Names(name, distribution)
    _check_not_offered(kind, name)
    _check_not_importable(names)
    return names


def _check_form(name: str, what: str, longest: int) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{what} cannot be {name!r}; use letters and digits, words separated by '-' or '_', and begin with a letter"
        )
    if len(name) > longest:
        raise ConfigError(f"{what} cannot be '{name}': it has {len(name)} characters, and {longest} is the limit")


def _check_not_offered(kind: Kind, name: str) -> None:
    found = registry()
    offered: list[Registered[Any]] = found.policies() if kind == "policy" else found.experiments()
    for entry in offered:
        if same_name(entry.spec.name) == same_name(name):
            noun = "policy" if kind == "policy" else "experiment"
            raise ConfigError(f"there is {noun} '{entry.spec.name}' already, from {entry.owner}; choose another name")


def _check_not_importable(names: Names) -> None:
    if keyword.iskeyword(names.module):
        raise ConfigError(f"the distribution cannot be '{names.distribution}', which is a word of Python's own")
    if importlib.util.find_spec(names.module) is not None:
        raise ConfigError(
            f"Python has a module '{names.module}' already, so the new package would hide it or be hidden; choose "
            "another name, or another --distribution"
        )
