"""What a plugin registers: frozen records that name their classes by `"module:Class"` strings.

Nothing is imported until it is used, so listing what is installed costs no torch import.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from crl_core.errors import PluginError

__all__ = [
    "CommandSpec",
    "ExperimentSpec",
    "PolicySpec",
    "RunnerSpec",
    "Spec",
    "TaskTypeSpec",
    "load_object",
]


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What every registration has: a name users type and one line that says what it is.

    All other fields are import paths, or mappings of names to import paths; their form is checked here, without
    importing anything.

    Raises:
        PluginError: the name, the summary or a path is not of the right form.
    """

    name: str
    summary: str

    def __post_init__(self) -> None:
        """Check the form of every field."""
        kind = type(self).__name__
        if not (isinstance(self.name, str) and _NAME.fullmatch(self.name)):
            raise PluginError(f"{kind} has the name {self.name!r}; use letters, digits, '-', '_' and '.' only")
        if not (isinstance(self.summary, str) and self.summary.strip()) or "\n" in self.summary:
            raise PluginError(
                f"{kind} '{self.name}' has the summary {self.summary!r}; write one line that says what it is"
            )
        for each in fields(self):
            if each.name not in {"name", "summary"}:
                self._check_paths(each.name)

    def _check_paths(self, field_name: str) -> None:
        value = getattr(self, field_name)
        paths = {f"{field_name}[{key!r}]": path for key, path in value.items()} if isinstance(value, Mapping) else None
        for where, path in (paths if paths is not None else {field_name: value}).items():
            if not (isinstance(path, str) and _PATH.fullmatch(path)):
                raise PluginError(
                    f"{type(self).__name__} '{self.name}' has {where}={path!r}; write it as 'package.module:attribute'"
                )


@dataclass(frozen=True, kw_only=True)
class PolicySpec(Spec):
    """An algorithm.

    Attributes:
        policy: `"module:Class"` of a `crl_core.Policy`.
        config: `"module:Class"` of its `crl_core.PolicyConfig`; that module must not import torch.
        presets: a paper's settings for a benchmark, each a `"module:function"` that returns a mapping of settings.
    """

    policy: str
    config: str
    presets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TaskTypeSpec(Spec):
    """A kind of task; `name` is the `type` tag of such a task in an experiment file, `task` its `"module:Class"`."""

    task: str


@dataclass(frozen=True, kw_only=True)
class ExperimentSpec(Spec):
    """An experiment; `build` is the `"module:function"` that makes it, called without arguments each time."""

    build: str


@dataclass(frozen=True, kw_only=True)
class RunnerSpec(Spec):
    """An environment runner; `runner` is its `"module:Class"`."""

    runner: str


@dataclass(frozen=True, kw_only=True)
class CommandSpec(Spec):
    """An extra subcommand of `crl`; `command` is the `"module:attribute"` of a click command."""

    command: str


def load_object(path: str, *, owner: str) -> Any:
    """Import and return what `"module:attribute"` names.

    Args:
        path: the import path.
        owner: who registered it, for the message.

    Raises:
        PluginError: the module cannot be imported, or has no such attribute.
    """
    module_name, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"{owner} names '{path}', which cannot be loaded: {type(error).__name__}: {error}. "
            "Reinstall or update that package, or report this to its authors."
        ) from error
