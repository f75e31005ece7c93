"""`PolicySource`: which policy is checked, and with which settings. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crl_core.config import PolicyConfig
from crl_core.plugins import Registered
from crl_core.policy_settings import policy_config_class, preset_settings
from crl_core.specs import PolicySpec
from crl_core.validation import setting_name, validate

__all__ = ["TUTORIAL_PRESET", "PolicySource", "policy_source"]

TUTORIAL_PRESET = "tutorial"


@dataclass(frozen=True)
class PolicySource:
    """A registered policy and the settings it is checked with.

    Attributes:
        entry: the policy.
        config: its settings.
    """

    entry: Registered[PolicySpec]
    config: PolicyConfig

    @property
    def package(self) -> str:
        """The policy's top-level package."""
        return self.entry.spec.policy.partition(":")[0].partition(".")[0]

    @property
    def repeatable(self) -> PolicyConfig:
        """The settings with a runner that does the same every time, where the policy supports one."""
        for runner in ("batch", "sync"):
            if runner in self.config.supported_runners:
                return self.config.model_copy(update={"runner": runner})
        return self.config


def policy_source(entry: Registered[PolicySpec], settings: Mapping[str, Any]) -> PolicySource:
    """Return a policy with settings: those given, over a preset's.

    Args:
        entry: the policy.
        settings: by name, each typed or as text; `preset` names the preset, which is `tutorial` where there is one.

    Raises:
        ConfigError: they do not validate.
        UnknownNameError: there is no such preset.
    """
    config_class = policy_config_class(entry)
    given = {setting_name(name): value for name, value in settings.items()}
    default = TUTORIAL_PRESET if TUTORIAL_PRESET in entry.spec.presets else None
    preset = given.pop("preset", None) or default
    own, _ = config_class.split_ignored(given)
    values = {**(preset_settings(entry, str(preset)) if preset else {}), **own}
    return PolicySource(entry, validate(config_class, values))
