"""Every preset that an installed policy ships is a set of settings that the policy takes."""

from __future__ import annotations

import pytest

from crl_core.plugins import registry
from crl_core.policy_settings import preset_settings
from crl_core.resolve import resolve

PRESETS = [(entry.spec.name, preset) for entry in registry().policies() for preset in entry.spec.presets]


def test_what_learns_ships_settings_for_the_tutorial() -> None:
    assert {("clear", "tutorial"), ("impala", "tutorial"), ("ppo", "tutorial")} <= {*PRESETS}


@pytest.mark.parametrize(("policy", "preset"), PRESETS)
def test_preset_validates(policy: str, preset: str) -> None:
    resolved = resolve({"policy": policy, "experiment": "tutorial", "preset": preset})
    assert resolved.warnings == ()
    settings = resolved.policy.model_dump()
    assert preset_settings(registry().policy(policy), preset).items() <= settings.items()
