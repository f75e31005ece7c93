"""Checks of a policy's registration and settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from crl_core.config import PolicyConfig
from crl_core.plugins import registry
from crl_core.policy_settings import policy_config_class, preset_settings
from crl_core.testing.checks import CheckFailure
from crl_core.testing.contracts import fail_if
from crl_core.testing.sources import PolicySource
from crl_core.validation import validate

__all__ = ["config_json_round_trip", "light_import", "settings_described"]

_HEAVY = ("gymnasium", "numpy", "torch")
_IMPORT_SECONDS = 120.0
_LOOK = """
import importlib, json, sys
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print("\\n" + json.dumps(sorted(set(json.loads(sys.argv[2])) & set(sys.modules))))
"""


def light_import(source: PolicySource) -> None:
    """Importing the plugin's module and its config class loads neither torch nor Gymnasium nor NumPy.

    `crl list` imports every plugin's module, and `--help` the config class: with torch they take seconds.
    """
    spec, owner = source.entry.spec, source.entry.distribution
    modules = [plugin.value.partition(":")[0] for plugin in registry().plugins if plugin.distribution == owner]
    modules.append(spec.config.partition(":")[0])
    found = subprocess.run(
        [sys.executable, "-c", _LOOK, json.dumps(modules), json.dumps(_HEAVY)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=_IMPORT_SECONDS,
        check=False,
    )
    names = " and ".join(dict.fromkeys(modules))
    fail_if(found.returncode, f"importing {names} in a fresh Python fails:\n{found.stderr.strip()}")
    heavy = json.loads(found.stdout.splitlines()[-1])
    fail_if(
        heavy,
        f"importing {names} loads {', '.join(heavy)}. Import those only in modules that specs name by "
        "'module:Class' strings, and keep them out of the package's __init__.py too.",
    )


def config_json_round_trip(source: PolicySource) -> None:
    """Settings survive being written as JSON, as in run.json, and as text, as on the command line; every preset too."""
    entry = source.entry
    config_class = policy_config_class(entry)
    defaults = validate(config_class, {}, source=f"the defaults of {config_class.__name__}")
    presets = {
        name: validate(config_class, preset_settings(entry, name), source=f"preset {name}")
        for name in entry.spec.presets
    }
    for what, config in {"the defaults": defaults, "the settings": source.config, **presets}.items():
        dumped = config.model_dump(mode="json")
        _compare(what, "JSON", config, validate(config_class, json.loads(json.dumps(dumped)), source=what))
        as_options = {name: value if isinstance(value, str) else _option(value) for name, value in dumped.items()}
        _compare(what, "the command line", config, validate(config_class, as_options, source=what))


def settings_described(source: PolicySource) -> None:
    """Every setting has a description and a default, and every ignored one a reason: they are all the help there is."""
    config_class = policy_config_class(source.entry)
    for name, field in config_class.model_fields.items():
        fail_if(
            not (field.description or "").strip(),
            f"setting '{name}' has no description; declare it as Field(…, description='…')",
        )
        fail_if(field.is_required(), f"setting '{name}' has no default; users may set none of them")
    bare = [name for name, reason in config_class.ignored_settings.items() if not reason.strip()]
    fail_if(bare, f"ignored_settings: '{', '.join(bare)}' has no reason; it completes 'ignored: …, because …'")


def _option(value: Any) -> str:
    """Return a value as one would type it."""
    return "none" if value is None else json.dumps(value)


def _compare(what: str, way: str, config: PolicyConfig, back: PolicyConfig) -> None:
    changed = [name for name in type(config).model_fields if getattr(config, name) != getattr(back, name)]
    if changed:
        name = changed[0]
        raise CheckFailure(
            f"{what}: {name}={getattr(config, name)!r} comes back from {way} as {getattr(back, name)!r}; use a type "
            "that pydantic writes and reads alike"
        )
