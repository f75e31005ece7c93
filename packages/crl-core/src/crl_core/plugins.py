"""The registry: what the installed plugins offer, by kind and by name.

Nothing beyond the plugin modules is imported; classes stay `"module:Class"` strings until something uses them.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Generic, TypeVar

from crl_core.errors import PluginError, UnknownNameError, did_you_mean
from crl_core.loading import Plugin, load_plugins, same_distribution, same_name
from crl_core.specs import CommandSpec, ExperimentSpec, PolicySpec, RunnerSpec, Spec, TaskTypeSpec

__all__ = [
    "FIRST_PARTY",
    "Plugin",
    "Registered",
    "Registry",
    "discover",
    "excluded_distributions",
    "origin",
    "registry",
]

# Our own names and the distribution each comes in; None marks names of the original system that no package has yet.
FIRST_PARTY: dict[type[Spec], dict[str, str | None]] = {
    PolicySpec: {
        "ppo": "crl-policies-ppo",
        "impala": "crl-policies-impala",
        "clear": "crl-policies-clear",
        "ewc": None,
        "online-ewc": None,
        "progress-and-compress": None,
        "sane": None,
    },
    ExperimentSpec: {
        "atari*": "crl-tasks-atari",
        "mini-atari*": "crl-tasks-atari",
        "minatar*": "crl-tasks-minatar",
        "procgen*": None,
        "minihack*": None,
        "chores*": None,
    },
    TaskTypeSpec: {"atari": "crl-tasks-atari", "minatar": "crl-tasks-minatar"},
    RunnerSpec: {"pipelined": "crl-policies-impala"},
    CommandSpec: {"report": "crl-report"},
}

# How messages speak of each kind, and which command lists it.
_KINDS: dict[type[Spec], tuple[str, str]] = {
    PolicySpec: ("policy", "crl list policies"),
    TaskTypeSpec: ("task type", "crl list tasks"),
    ExperimentSpec: ("experiment", "crl list experiments"),
    RunnerSpec: ("runner", "crl list runners"),
    CommandSpec: ("command", "crl --help"),
}

SpecT = TypeVar("SpecT", bound=Spec)


@dataclass(frozen=True, kw_only=True)
class Registered(Generic[SpecT]):
    """A spec and where it comes from; `ambiguous` tells that another distribution offers the same name."""

    spec: SpecT
    distribution: str
    version: str
    ambiguous: bool = False

    @property
    def owner(self) -> str:
        """The distribution with its version, for messages."""
        return f"{self.distribution} {self.version}"

    @property
    def full_name(self) -> str:
        """The name that picks this one where two distributions offer it: `distribution/name`."""
        return f"{self.distribution}/{self.spec.name}"


class Registry:
    """Everything the installed plugins register, by kind.

    A lookup takes a `name`, in which `-` and `_` are alike, or `distribution/name`. It raises `UnknownNameError` for a
    name nobody offers, and `PluginError` for one that several distributions offer.
    """

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        """Index what `plugins` registered."""
        self.plugins = tuple(plugins)

    def policies(self) -> list[Registered[PolicySpec]]:
        """Return all policies, by name."""
        return self._all(PolicySpec)

    def task_types(self) -> list[Registered[TaskTypeSpec]]:
        """Return all kinds of task, by name."""
        return self._all(TaskTypeSpec)

    def experiments(self) -> list[Registered[ExperimentSpec]]:
        """Return all experiments, by name."""
        return self._all(ExperimentSpec)

    def runners(self) -> list[Registered[RunnerSpec]]:
        """Return all environment runners, by name."""
        return self._all(RunnerSpec)

    def commands(self) -> list[Registered[CommandSpec]]:
        """Return all commands that plugins add, by name."""
        return self._all(CommandSpec)

    def policy(self, name: str) -> Registered[PolicySpec]:
        """Return the policy called `name`."""
        return self._one(PolicySpec, name)

    def task_type(self, name: str) -> Registered[TaskTypeSpec]:
        """Return the kind of task called `name`."""
        return self._one(TaskTypeSpec, name)

    def experiment(self, name: str) -> Registered[ExperimentSpec]:
        """Return the experiment called `name`."""
        return self._one(ExperimentSpec, name)

    def runner(self, name: str) -> Registered[RunnerSpec]:
        """Return the environment runner called `name`."""
        return self._one(RunnerSpec, name)

    def command(self, name: str) -> Registered[CommandSpec]:
        """Return the plugin command called `name`."""
        return self._one(CommandSpec, name)

    def _all(self, kind: type[SpecT]) -> list[Registered[SpecT]]:
        found = [(plugin, spec) for plugin in self.plugins for spec in plugin.specs if isinstance(spec, kind)]
        offers = Counter(same_name(spec.name) for _, spec in found)
        registered = [
            Registered(
                spec=spec,
                distribution=plugin.distribution,
                version=plugin.version,
                ambiguous=offers[same_name(spec.name)] > 1,
            )
            for plugin, spec in found
        ]
        return sorted(registered, key=lambda each: (each.spec.name, each.distribution))

    def _one(self, kind: type[SpecT], name: str) -> Registered[SpecT]:
        known = self._all(kind)
        distribution, _, own_name = name.rpartition("/")
        matches = [
            each
            for each in known
            if same_name(each.spec.name) == same_name(own_name)
            and (not distribution or same_distribution(each.distribution) == same_distribution(distribution))
        ]
        if not matches:
            raise UnknownNameError(self._unknown(kind, name, known))
        if len(matches) > 1:
            raise PluginError(
                f"{_KINDS[kind][0]} '{name}' is offered by {' and '.join(each.owner for each in matches)}; "
                f"say which: {' or '.join(dict.fromkeys(each.full_name for each in matches))}."
            )
        return matches[0]

    def _unknown(self, kind: type[Spec], name: str, known: Iterable[Registered[Any]]) -> str:
        noun, command = _KINDS[kind]
        hint = self._first_party_hint(kind, name) or did_you_mean(
            name, [each.full_name if "/" in name else each.spec.name for each in known]
        )
        broken = sum(plugin.state == "broken" for plugin in self.plugins)
        also = " (A broken plugin may provide it: see `crl plugins`.)" if broken and not hint else ""
        return f"unknown {noun} '{name}'.{hint} `{command}` shows what is installed.{also}"

    def _first_party_hint(self, kind: type[Spec], name: str) -> str:
        for pattern, distribution in FIRST_PARTY[kind].items():
            if not fnmatchcase(same_name(name), pattern):
                continue
            if distribution is None:
                return " It belongs to the original system and is not available here yet."
            installed = [plugin for plugin in self.plugins if same_distribution(plugin.distribution) == distribution]
            if not installed:
                return f" It is provided by {distribution}: pip install {distribution}."
            if installed[0].state != "loaded":
                return f" {distribution} provides it, but is {installed[0].state}: {installed[0].error.rstrip('.')}."
        return ""


def discover(*, exclude: Collection[str] = (), strict: bool = False) -> Registry:
    """Load every installed plugin.

    Args:
        exclude: distributions to leave out, unimported.
        strict: whether a broken or incompatible plugin is an error.

    Raises:
        PluginError: `exclude` names a distribution that is no plugin; or, when strict, some plugin is faulty.
    """
    plugins = load_plugins(exclude={same_distribution(name) for name in exclude})
    installed = {same_distribution(plugin.distribution): plugin.distribution for plugin in plugins}
    for name in exclude:
        if same_distribution(name) not in installed:
            hint = did_you_mean(name, installed.values())
            raise PluginError(
                f"cannot leave out '{name}': no installed plugin has that name.{hint} `crl plugins` shows all."
            )
    faulty = [plugin for plugin in plugins if plugin.faulty]
    if strict and faulty:
        listed = "\n".join(f"  {each.distribution} {each.version} is {each.state}: {each.error}" for each in faulty)
        raise PluginError(f"CRL_STRICT_PLUGINS is set, and not every plugin works; see `crl plugins`:\n{listed}")
    return Registry(plugins)


@functools.cache
def registry() -> Registry:
    """Return what is installed, found once per process, as the variables CRL_NO_PLUGIN and CRL_STRICT_PLUGINS ask."""
    return discover(exclude=excluded_distributions(), strict=os.environ.get("CRL_STRICT_PLUGINS") == "1")


def origin(kind: type) -> str:
    """Return a class's name and the plugin distribution it comes from, or else its module, for messages."""
    package = kind.__module__.partition(".")[0]
    owners = {each.value.partition(".")[0]: f"{each.distribution} {each.version}" for each in registry().plugins}
    return f"{kind.__name__} of {owners.get(package, package)}"


def excluded_distributions() -> list[str]:
    """Return the distributions that CRL_NO_PLUGIN leaves out; it is a variable so that worker processes inherit it."""
    return [name.strip() for name in os.environ.get("CRL_NO_PLUGIN", "").split(",") if name.strip()]
