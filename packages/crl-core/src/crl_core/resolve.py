"""`resolve`: settings as a user gave them, parted into the run's and the policy's, and validated. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crl_core.config import PolicyConfig, RunConfig
from crl_core.errors import ConfigError
from crl_core.experiment_names import check_experiment
from crl_core.plugins import registry
from crl_core.policy_settings import policy_config_class, preset_settings
from crl_core.validation import problems, setting_name, summary

__all__ = ["ResolvedSettings", "resolve"]

_NAMING = ("policy", "experiment", "preset")  # settings that are looked up before the others can be judged
_REQUIRED = {
    "policy": "--policy: is required; `crl list policies` shows what is installed",
    "experiment": "--experiment: is required; `crl list experiments` shows what is installed",
}


@dataclass(frozen=True)
class ResolvedSettings:
    """Validated settings of one run, and one warning for each that was accepted and means nothing."""

    run: RunConfig
    policy: PolicyConfig
    warnings: tuple[str, ...]


def resolve(settings: Mapping[str, Any], *, source: str = "") -> ResolvedSettings:
    """Validate settings.

    Args:
        settings: by name, with `-` or `_`, each typed or as text; those of a preset named among them come before them.
        source: where they come from, for messages; empty means the command line.

    Raises:
        ConfigError: names every problem at once.
        UnknownNameError: there is no such policy, experiment, preset or runner.
        ExperimentError: the experiment's file cannot be read.
    """
    given = {setting_name(name): value for name, value in settings.items()}
    missing = [_REQUIRED[name] for name in _REQUIRED if given.get(name) in (None, "")]
    names = {name: given[name] for name in _NAMING if name in given}
    wrong = missing or problems(RunConfig, names, source=source)
    if wrong:
        raise ConfigError(summary(wrong, source=source))
    named = RunConfig.model_validate(names)
    entry = registry().policy(named.policy)
    check_experiment(named.experiment)
    config_class = policy_config_class(entry)
    for_run = {name: value for name, value in given.items() if name in RunConfig.model_fields}
    rest = {name: value for name, value in given.items() if name not in RunConfig.model_fields}
    own, warnings = config_class.split_ignored(rest)
    preset = preset_settings(entry, named.preset) if named.preset else {}
    own = {**preset, **own}
    found = problems(RunConfig, for_run, source=source) + problems(config_class, own, source=source)
    if found:
        raise ConfigError(summary(found, source=source))
    policy_config = config_class.model_validate(own)
    registry().runner(policy_config.runner)
    return ResolvedSettings(RunConfig.model_validate(for_run), policy_config, tuple(warnings))
