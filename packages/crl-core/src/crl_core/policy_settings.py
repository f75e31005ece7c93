"""The settings of a registered policy: its config class, checked, and its presets. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crl_core.config import PolicyConfig, RunConfig
from crl_core.errors import PluginError, UnknownNameError, did_you_mean
from crl_core.plugins import Registered
from crl_core.specs import PolicySpec, load_object
from crl_core.validation import setting_name

__all__ = ["policy_config_class", "preset_settings"]


def policy_config_class(entry: Registered[PolicySpec]) -> type[PolicyConfig]:
    """Import a policy's config class.

    Raises:
        PluginError: it cannot be imported, is no `PolicyConfig`, or takes a name that every run has.
    """
    loaded = load_object(entry.spec.config, owner=entry.owner)
    if not (isinstance(loaded, type) and issubclass(loaded, PolicyConfig)):
        raise PluginError(
            f"{entry.owner} names '{entry.spec.config}' as the settings of policy '{entry.spec.name}', but it is no "
            "subclass of crl_core.PolicyConfig. Update that package, or report this to its authors."
        )
    own = set(loaded.model_fields) - set(PolicyConfig.model_fields)
    _refuse(entry, own & set(RunConfig.model_fields), "is reserved for a setting that every run has")
    _refuse(
        entry, set(loaded.ignored_settings) & set(RunConfig.model_fields), "is ignored, but every run has that setting"
    )
    _refuse(entry, set(loaded.ignored_settings) & set(loaded.model_fields), "is both a setting and an ignored one")
    return loaded


def preset_settings(entry: Registered[PolicySpec], name: str) -> dict[str, Any]:
    """Return the settings of a preset, unvalidated.

    Raises:
        UnknownNameError: the policy has no such preset.
        PluginError: the preset cannot be loaded.
    """
    path = entry.spec.presets.get(name)
    if path is None:
        known = ", ".join(sorted(entry.spec.presets)) or "none"
        hint = did_you_mean(name, entry.spec.presets)
        raise UnknownNameError(f"policy '{entry.spec.name}' has no preset '{name}'.{hint} Its presets: {known}.")
    function = load_object(path, owner=entry.owner)
    try:
        settings = function()
    except Exception as error:
        message = (
            f"preset '{name}' of policy '{entry.spec.name}' ({entry.owner}) failed: {type(error).__name__}: {error}"
        )
        raise PluginError(message) from error
    if not isinstance(settings, Mapping):
        raise PluginError(
            f"preset '{name}' of policy '{entry.spec.name}' ({entry.owner}) returned a {type(settings).__name__}, "
            "where a mapping of settings was expected"
        )
    return {setting_name(key): value for key, value in settings.items()}


def _refuse(entry: Registered[PolicySpec], names: set[str], why: str) -> None:
    if names:
        raise PluginError(
            f"policy '{entry.spec.name}' ({entry.owner}) has the setting '{min(names)}', which {why}; "
            "its authors have to rename it"
        )
