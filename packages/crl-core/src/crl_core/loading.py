"""Loading plugins: each one on its own, so that an error in one is recorded against it and touches no other."""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, EntryPoint
from types import FunctionType, MethodType
from typing import Literal

import pluggy

from crl_core import hookspecs
from crl_core.errors import PluginError, did_you_mean
from crl_core.hookspecs import ENTRY_POINT_GROUP, PROJECT
from crl_core.specs import CommandSpec, ExperimentSpec, PolicySpec, RunnerSpec, Spec, TaskTypeSpec

__all__ = ["HOOKS", "RESERVED_COMMANDS", "Plugin", "State", "load_plugins", "same_distribution", "same_name"]

HOOKS: dict[str, type[Spec]] = {
    "crl_policies": PolicySpec,
    "crl_task_types": TaskTypeSpec,
    "crl_experiments": ExperimentSpec,
    "crl_environment_runners": RunnerSpec,
    "crl_commands": CommandSpec,
}

# A plugin that offered one of these would change what a documented command does.
RESERVED_COMMANDS = frozenset({"check", "eval", "help", "list", "new", "plugins", "queue", "resume", "run", "show"})

_API_FAMILY = ENTRY_POINT_GROUP.partition(".")[0]
_UNNAMED = "unnamed"

State = Literal["loaded", "broken", "excluded", "incompatible"]


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """One entry point of one distribution, and how loading it went.

    Attributes:
        distribution: the distribution's name.
        version: the distribution's version.
        entry_point: the entry point's name.
        value: what it points at.
        state: `loaded`; `broken`, see `error`; `excluded` by the user; or `incompatible`, made for another plugin API.
        error: one line that says what is wrong.
        traceback: the whole story of a broken plugin.
        import_seconds: how long importing it took.
        specs: what it registered; empty unless it is loaded.
    """

    distribution: str
    version: str
    entry_point: str
    value: str
    state: State = "loaded"
    error: str = ""
    traceback: str = ""
    import_seconds: float = 0.0
    specs: tuple[Spec, ...] = ()

    @property
    def faulty(self) -> bool:
        """Whether somebody should do something about it."""
        return self.state in {"broken", "incompatible"}


def load_plugins(*, exclude: Collection[str] = ()) -> list[Plugin]:
    """Load every installed plugin, whatever state each turns out to be in.

    Args:
        exclude: distributions to leave out, as `same_distribution` spells them; these are not imported.
    """
    found = sorted(_installed(), key=lambda each: (each[0].distribution, each[0].entry_point))
    return [_load(plugin, entry, exclude) for plugin, entry in found]


def same_distribution(name: str) -> str:
    """Return the one spelling of a distribution's name: `Crl_Core` and `crl-core` are the same."""
    return re.sub(r"[-_.]+", "-", name).lower()


def same_name(name: str) -> str:
    """Return the one spelling of a registered name, in which `-` and `_` are alike."""
    return name.replace("_", "-")


def _installed() -> Iterator[tuple[Plugin, EntryPoint]]:
    """Yield every entry point of any version of the plugin API.

    `importlib.metadata.entry_points` would be shorter, but one unreadable file of any distribution makes it fail.
    """
    seen = set()
    for distribution in importlib.metadata.distributions():
        if _API_FAMILY not in _entry_points_text(distribution):
            continue
        name, version = _identity(distribution)
        if same_distribution(name) in seen:
            continue  # found again further down the path, where it is shadowed
        if name != _UNNAMED:
            seen.add(same_distribution(name))
        try:
            entries = [each for each in distribution.entry_points if each.group.partition(".")[0] == _API_FAMILY]
        except Exception as error:  # noqa: BLE001  # whatever is in that file, the others stay
            plugin = Plugin(distribution=name, version=version, entry_point="", value="")
            yield _broken(plugin, error), EntryPoint("", "", ENTRY_POINT_GROUP)
            continue
        for entry in entries:
            yield Plugin(distribution=name, version=version, entry_point=entry.name, value=entry.value), entry


def _entry_points_text(distribution: Distribution) -> str:
    try:
        return distribution.read_text("entry_points.txt") or ""
    except (OSError, UnicodeError):
        return ""  # nobody can tell whether it is a plugin at all


def _identity(distribution: Distribution) -> tuple[str, str]:
    try:
        metadata = distribution.metadata
        return metadata["Name"] or _UNNAMED, metadata["Version"] or "?"
    except Exception:  # noqa: BLE001  # missing or unreadable metadata raises differently in each version of Python
        return _UNNAMED, "?"


def _load(plugin: Plugin, entry: EntryPoint, exclude: Collection[str]) -> Plugin:
    if same_distribution(plugin.distribution) in exclude:
        return replace(plugin, state="excluded", error="left out by --no-plugin or CRL_NO_PLUGIN", traceback="")
    if plugin.state != "loaded":
        return plugin
    if entry.group != ENTRY_POINT_GROUP:
        error = (
            f"made for '{entry.group}', while this crl-core reads '{ENTRY_POINT_GROUP}'; install versions that match"
        )
        return replace(plugin, state="incompatible", error=error)
    started = time.perf_counter()
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what a plugin prints must not end up in our output
            module = entry.load()
            plugin = replace(plugin, import_seconds=time.perf_counter() - started)
            return replace(plugin, specs=_collect(module, f"{plugin.distribution}:{plugin.entry_point}"))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # SystemExit included: whatever a plugin does, the others stay
        return _broken(replace(plugin, import_seconds=time.perf_counter() - started), error)


def _broken(plugin: Plugin, error: BaseException) -> Plugin:
    text = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
    return replace(
        plugin,
        state="broken",
        error=" ".join(text.split()),
        traceback="".join(traceback.format_exception(error)),
    )


def _collect(module: object, name: str) -> tuple[Spec, ...]:
    """Register a plugin with a manager of its own, and return what its hooks yield."""
    _check_hook_names(module)
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(module, name=name)
    specs: list[Spec] = []
    for hook, kind in HOOKS.items():
        for result in getattr(manager.hook, hook)():
            specs.extend(_checked(hook, kind, result))
    return tuple(specs)


def _check_hook_names(module: object) -> None:
    for name in dir(module):
        function = getattr(module, name, None)
        if not isinstance(function, (FunctionType, MethodType)):
            continue
        marked = hasattr(function, f"{PROJECT}_impl")
        if name in HOOKS and not marked:
            raise PluginError(f"the function {name} has no @hookimpl above it, so it would never be called")
        if name not in HOOKS and (marked or name.startswith(f"{PROJECT}_")):
            raise PluginError(
                f"there is no hook '{name}'.{did_you_mean(name, HOOKS)} The hooks are {', '.join(HOOKS)}."
            )


def _checked(hook: str, kind: type[Spec], result: object) -> list[Spec]:
    """Return what a hook yielded, as a list, or say what is wrong with it."""
    try:
        specs: list[Spec] = list(result)  # type: ignore[call-overload]  # whether it can be listed is what is tried
    except TypeError as error:
        if hasattr(result, "__iter__"):
            raise
        message = f"{hook} returned {_a(result)}; let it yield {kind.__name__}s, or return a list of them"
        raise PluginError(message) from error
    for spec in specs:
        if not isinstance(spec, kind):
            raise PluginError(f"{hook} yielded {_a(spec)}, which is no {kind.__name__}")
        if isinstance(spec, CommandSpec) and spec.name in RESERVED_COMMANDS:
            raise PluginError(f"it offers the command '{spec.name}', which is crl's own; give it another name")
    repeated = [name for name, count in Counter(same_name(spec.name) for spec in specs).items() if count > 1]
    if repeated:
        raise PluginError(f"{hook} yielded the name '{repeated[0]}' twice")
    return specs


def _a(value: object) -> str:
    return f"a value of type {type(value).__name__}"
