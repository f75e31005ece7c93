"""`SettingsCommand`: a click command that takes the run settings and those of the policies its arguments name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import click

from crl_core.cli.options import SettingOption, find_option, settings_options
from crl_core.config import RunConfig
from crl_core.errors import ConfigError, did_you_mean
from crl_core.plugins import registry
from crl_core.policy_settings import policy_config_class
from crl_core.validation import flag

__all__ = ["SettingsCommand", "policy_options"]

_RUN_GROUP = "Run settings"
_POLICY_GROUP = "Settings of policy"
_META = "crl_core.settings"


class SettingsCommand(click.Command):
    """A command that hands its callback `settings`: what was given on the command line, as text, by name.

    It parses in two stages: first it looks which policies the arguments name, then it makes options of the settings of
    those. That imports config classes only, never torch. Settings are for the callback to validate.

    Class attributes:
        naming: how its arguments name a policy, for messages.
    """

    naming: ClassVar[str] = "--policy NAME"

    def policy_names(self, args: Sequence[str]) -> list[str]:
        """Return the policies whose settings the arguments may set; a command that reads files adds those they name."""
        name = find_option(args, "policy")
        return [] if name is None else [name]

    def setting_options(self, policies: Sequence[str]) -> list[SettingOption]:
        """Return an option for each setting: those every run has, then those of the policies."""
        return [*settings_options(RunConfig, group=_RUN_GROUP), *policy_options(policies)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args` with the options of the policies they name."""
        policies = self.policy_names(args)
        ctx.meta[_META] = self.setting_options(policies)
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise ConfigError(self._unknown(ctx, error.option_name, policies)) from error
        names = {option.name for option in _setting_options(ctx)}
        given = {name: ctx.params.pop(name) for name in list(ctx.params) if name in names}
        ctx.params["settings"] = {name: value for name, value in given.items() if isinstance(value, str)}
        return rest

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own parameters and those of the settings."""
        return [*super().get_params(ctx), *_setting_options(ctx)]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help, one section per group of settings."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                group = parameter.group if isinstance(parameter, SettingOption) else "Options"
                sections.setdefault(group, []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)
        if not any(title.startswith(_POLICY_GROUP) for title in sections):
            with formatter.section("Settings of a policy"):
                formatter.write_text(
                    f"{ctx.command_path} {self.naming} --help shows them; crl list policies, the names."
                )

    def _unknown(self, ctx: click.Context, given: str, policies: Sequence[str]) -> str:
        flags = [
            flag(parameter.name or "") for parameter in self.get_params(ctx) if not getattr(parameter, "hidden", False)
        ]
        hint = did_you_mean(flag(given.removeprefix("--")), flags)
        if not hint and not policies:
            hint = f" If it is a setting of a policy, name the policy with {self.naming.partition(' ')[0]}."
        named = self.naming.replace("NAME", policies[0]) if policies else self.naming
        return f"there is no option '{given}'.{hint} `{ctx.command_path} {named} --help` shows all."


def _setting_options(ctx: click.Context) -> list[SettingOption]:
    options: list[SettingOption] = ctx.meta.get(_META, [])
    return options


def policy_options(policies: Sequence[str]) -> list[SettingOption]:
    """Return an option for each setting of the policies, the first one's where they share a name."""
    options = []
    for name in policies:
        entry = registry().policy(name)
        options += settings_options(policy_config_class(entry), group=f"{_POLICY_GROUP} {entry.spec.name}")
    unique: dict[Any, SettingOption] = {}
    for option in options:
        unique.setdefault(option.name, option)
    return list(unique.values())
