"""What it registers."""

from collections.abc import Iterator

from crl_core import CommandSpec, PolicySpec, hookimpl

CONFIGS = {"absent": "NoSuchConfig", "foreign": "ForeignConfig", "seedy": "SeedyConfig", "torn": "TornConfig"}


@hookimpl
def crl_policies() -> Iterator[PolicySpec]:
    for name, config in CONFIGS.items():
        yield PolicySpec(
            name=name,
            summary="Leads nowhere.",
            policy="fixture_hollow.policy:Policy",
            config=f"fixture_hollow.config:{config}",
            presets={"raising": "fixture_hollow.config:raising", "listing": "fixture_hollow.config:listing"},
        )


@hookimpl
def crl_commands() -> Iterator[CommandSpec]:
    yield CommandSpec(name="hollow", summary="No command.", command="fixture_hollow.config:listing")
