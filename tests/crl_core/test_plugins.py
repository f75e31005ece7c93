"""The loader: what one plugin does wrong is recorded against it, and touches no other."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crl_core import hookspecs, plugins
from crl_core.cli.main import COMMANDS
from crl_core.errors import PluginError, UnknownNameError
from crl_core.loading import HOOKS, RESERVED_COMMANDS, State
from crl_core.plugins import Plugin, Registry, discover, registry
from crl_core.specs import CommandSpec, ExperimentSpec, PolicySpec, RunnerSpec, TaskTypeSpec, load_object

Install = Callable[..., None]
Crl = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def _site_on_path(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("fixture_"):
            del sys.modules[name]


def plugin_of(registry: Registry, distribution: str) -> Plugin:
    (found,) = [plugin for plugin in registry.plugins if plugin.distribution == distribution]
    return found


def test_core_registers_through_its_own_hooks() -> None:
    found = discover()
    assert plugin_of(found, "crl-core").state == "loaded"
    assert found.runner("batch").spec.runner == "crl_core.runners.batch:BatchRunner"
    assert found.task_type("image").spec.task == "crl_core.gymnasium_tasks:ImageTask"
    assert found.experiment("tutorial").owner.startswith("crl-core ")


def test_what_core_registers_can_be_loaded() -> None:
    core = plugin_of(discover(), "crl-core")
    for spec in core.specs:
        values = [value for name, value in vars(spec).items() if name not in {"name", "summary"}]
        paths = [path for value in values for path in (value.values() if isinstance(value, dict) else [value])]
        assert all(load_object(path, owner="crl-core") is not None for path in paths)


def test_good_plugin_is_loaded_with_its_specs(install: Install) -> None:
    install("fixture-good")
    found = discover()
    plugin = plugin_of(found, "fixture-good")
    assert (plugin.state, plugin.error, plugin.version, plugin.entry_point) == ("loaded", "", "1.0", "good")
    assert [spec.name for spec in plugin.specs] == ["good_one", "good_tasks", "greet"]
    assert found.policy("good_one").owner == "fixture-good 1.0"
    assert [entry.spec.name for entry in found.commands() if entry.distribution == "fixture-good"] == ["greet"]


def test_a_slow_import_shows_in_its_time(install: Install) -> None:
    install("fixture-slow")
    assert plugin_of(discover(), "fixture-slow").import_seconds >= 0.3


@pytest.mark.parametrize("name", ["good_one", "good-one", "fixture-good/good_one", "Fixture_Good/good-one"])
def test_lookup_takes_any_spelling(install: Install, name: str) -> None:
    install("fixture-good")
    assert discover().policy(name).spec.name == "good_one"


@pytest.mark.parametrize(
    ("distribution", "error"),
    [
        ("fixture-import-error", "ImportError: the library flux is missing"),
        ("fixture-exits", "SystemExit: 3"),
        ("fixture-typo", "there is no hook 'crl_polices'. Did you mean 'crl_policies'?"),
        ("fixture-raises", "RuntimeError: half way"),
        ("fixture-wrong-type", "crl_policies yielded a value of type dict, which is no PolicySpec"),
    ],
)
def test_broken_plugin_is_recorded_and_the_others_stay(install: Install, distribution: str, error: str) -> None:
    install("fixture-good", distribution)
    found = discover()
    plugin = plugin_of(found, distribution)
    assert plugin.state == "broken"
    assert plugin.error.startswith(error)
    assert "Traceback" in plugin.traceback
    assert plugin.specs == ()
    assert found.policy("good_one")
    assert plugin_of(found, "crl-core").state == "loaded"


HEADER = "from crl_core import *\nfrom crl_core.specs import *\n"
POLICY = 'PolicySpec(name="p", summary="s", policy="m:P", config="m:C")'


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (
            "@hookimpl\ndef crl_policies():\n    return 3",
            "crl_policies returned a value of type int; let it yield PolicySpecs",
        ),
        (f"@hookimpl\ndef crl_policies():\n    return {POLICY}", "crl_policies returned a value of type PolicySpec"),
        (f"@hookimpl\ndef crl_policies():\n    return [{POLICY}, {POLICY}]", "crl_policies yielded the name 'p' twice"),
        (
            f"@hookimpl\ndef crl_experiments():\n    return [{POLICY}]",
            "a value of type PolicySpec, which is no ExperimentSpec",
        ),
        (f"def crl_policies():\n    return [{POLICY}]", "the function crl_policies has no @hookimpl above it"),
        ("def crl_runners():\n    return []", "there is no hook 'crl_runners'"),
        (
            "@hookimpl\ndef setup():\n    return []",
            "there is no hook 'setup'. The hooks are crl_policies, crl_task_types",
        ),
        ("@hookimpl\ndef crl_policies(config):\n    return []", "config"),
        (
            '@hookimpl\ndef crl_commands():\n    yield CommandSpec(name="run", summary="s", command="m:run")',
            "it offers the command 'run', which is crl's own",
        ),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_what_a_plugin_may_do_wrong(install_code: Install, code: str, error: str) -> None:
    install_code("fixture-inline", HEADER + code)
    plugin = plugin_of(discover(), "fixture-inline")
    assert plugin.state == "broken"
    assert error in plugin.error
    assert "\n" not in plugin.error


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"name": ""}, "PolicySpec has the name ''; use letters"),
        ({"name": "a/b"}, "PolicySpec has the name 'a/b'"),
        ({"name": 3}, "PolicySpec has the name 3"),
        ({"summary": " "}, "PolicySpec 'p' has the summary ' '; write one line"),
        ({"policy": "m.P"}, "PolicySpec 'p' has policy='m.P'; write it as 'package.module:attribute'"),
        ({"config": "m:"}, "has config='m:'"),
        ({"presets": {"atari": "nonsense"}}, "has presets['atari']='nonsense'"),
    ],
)
def test_spec_checks_its_form(fields: dict[str, object], error: str) -> None:
    right: dict[str, object] = {"name": "p", "summary": "s", "policy": "m:P", "config": "m:C"}
    with pytest.raises(PluginError, match=re.escape(error)):
        PolicySpec(**{**right, **fields})  # type: ignore[arg-type]  # what is wrong here is the point


def test_interrupt_is_not_swallowed(install_code: Install) -> None:
    install_code("fixture-inline", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        discover()


@pytest.mark.parametrize("group", ["crl_core.v2", "crl_core.plugins", "crl_core"])
def test_other_versions_are_reported_and_never_imported(install_code: Install, group: str) -> None:
    install_code("fixture-inline", "raise AssertionError", entry_points=f"[{group}]\nx = fixture_inline\n")
    plugin = plugin_of(discover(), "fixture-inline")
    assert plugin.state == "incompatible"
    assert f"'{group}'" in plugin.error
    assert "'crl_core.v1'" in plugin.error
    assert "fixture_inline" not in sys.modules


def test_unreadable_entry_points_touch_no_other(install: Install, install_code: Install) -> None:
    install("fixture-good")
    install_code("fixture-inline", "", entry_points="[crl_core.v1]\nthis line has no equals sign\n")
    found = discover()
    assert found.policy("good_one")
    assert plugin_of(found, "fixture-inline").state == "broken"
    assert plugin_of(discover(exclude=["fixture-inline"]), "fixture-inline").state == "excluded"


def test_undecodable_entry_points_touch_no_other(install: Install, install_code: Install, site: Path) -> None:
    install("fixture-good")
    install_code("fixture-inline", "")
    (site / "fixture_inline-1.0.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe[crl_core.v1]")
    assert discover().policy("good_one")


def test_one_entry_point_name_in_two_distributions_loads_both(install: Install) -> None:
    install("fixture-good", "fixture-rival")
    found = discover()
    assert {plugin_of(found, name).entry_point for name in ("fixture-good", "fixture-rival")} == {"good"}
    assert [entry.full_name for entry in found.policies() if entry.ambiguous] == [
        "fixture-rival/good-one",
        "fixture-good/good_one",
    ]


def test_using_an_ambiguous_name_says_how_to_pick(install: Install) -> None:
    install("fixture-good", "fixture-rival")
    found = discover()
    with pytest.raises(PluginError) as raised:
        found.policy("good-one")
    assert str(raised.value) == (
        "policy 'good-one' is offered by fixture-rival 1.0 and fixture-good 1.0; "
        "say which: fixture-rival/good-one or fixture-good/good_one."
    )
    assert found.policy("fixture-rival/good-one").spec.summary == "The rival."


def test_excluded_plugin_is_not_imported(install: Install) -> None:
    install("fixture-import-error", "fixture-good")
    found = discover(exclude=["Fixture_Import.Error"])
    plugin = plugin_of(found, "fixture-import-error")
    assert (plugin.state, plugin.traceback) == ("excluded", "")
    assert "fixture_import_error" not in sys.modules


def test_excluding_what_is_not_installed_is_an_error(install: Install) -> None:
    install("fixture-good")
    with pytest.raises(PluginError, match=r"cannot leave out 'fixture-god'.*Did you mean 'fixture-good'\?"):
        discover(exclude=["fixture-god"])


def test_strict_names_every_faulty_plugin(install: Install) -> None:
    install("fixture-good", "fixture-import-error", "fixture-future")
    with pytest.raises(PluginError) as raised:
        discover(strict=True)
    message = str(raised.value)
    assert "fixture-import-error 1.0 is broken: ImportError: the library flux is missing" in message
    assert "fixture-future 1.0 is incompatible: " in message
    assert "fixture-good" not in message


def test_registry_reads_the_environment_once(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("fixture-good", "fixture-rival")
    monkeypatch.setenv("CRL_NO_PLUGIN", "fixture-rival, ")
    registry.cache_clear()
    try:
        assert registry().policy("good-one").distribution == "fixture-good"
        assert registry() is registry()
    finally:
        registry.cache_clear()


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("policy", "good_onne", "unknown policy 'good_onne'. Did you mean 'good_one'? `crl list policies` shows"),
        ("policy", "online_ewc", "belongs to the original system and is not available here yet"),
        ("experiment", "procgen_6_tasks", "belongs to the original system and is not available here yet"),
        ("runner", "bacth", "unknown runner 'bacth'. Did you mean 'batch'? `crl list runners` shows"),
        ("task_type", "imaeg", "unknown task type 'imaeg'. Did you mean 'image'?"),
        ("command", "gret", "unknown command 'gret'. Did you mean 'greet'? `crl --help` shows"),
    ],
)
def test_unknown_name(install: Install, kind: str, name: str, message: str) -> None:
    install("fixture-good")
    with pytest.raises(UnknownNameError, match=re.escape(message)):
        getattr(discover(), kind)(name)


def first_party(state: State) -> Plugin:
    return Plugin(
        distribution="crl-policies-ppo",
        version="0",
        entry_point="ppo",
        value="m",
        state=state,
        error="E: e",
    )


@pytest.mark.parametrize(
    ("installed", "message"),
    [
        ([], "It is provided by crl-policies-ppo: pip install crl-policies-ppo."),
        ([first_party("broken")], "crl-policies-ppo provides it, but is broken: E: e."),
        ([first_party("excluded")], "crl-policies-ppo provides it, but is excluded: E: e."),
    ],
)
def test_unknown_first_party_name_says_where_it_comes_from(installed: list[Plugin], message: str) -> None:
    with pytest.raises(UnknownNameError, match=re.escape(message)):
        Registry(installed).policy("ppo")


def test_first_party_patterns() -> None:
    with pytest.raises(UnknownNameError, match="pip install crl-tasks-atari"):
        Registry([]).experiment("atari_6_tasks_5_cycles")


def test_unknown_name_mentions_broken_plugins(install: Install) -> None:
    install("fixture-import-error")
    with pytest.raises(UnknownNameError, match="A broken plugin may provide it: see `crl plugins`"):
        discover().policy("zzz")


@pytest.mark.parametrize("path", ["crl_core.nowhere:x", "crl_core.errors:Nothing"])
def test_load_object_names_owner_and_path(path: str) -> None:
    with pytest.raises(PluginError) as raised:
        load_object(path, owner="some-dist 1.0")
    assert str(raised.value).startswith(f"some-dist 1.0 names '{path}', which cannot be loaded: ")
    assert "Reinstall or update that package" in str(raised.value)


def test_core_commands_are_reserved() -> None:
    assert set(COMMANDS) <= RESERVED_COMMANDS


def test_every_hook_has_its_kind_and_a_lookup() -> None:
    hooks = {name for name, value in vars(hookspecs).items() if hasattr(value, "crl_spec")}
    assert hooks == set(HOOKS)
    assert set(HOOKS.values()) == set(plugins.FIRST_PARTY)


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_of_every_hook_works(hook: str) -> None:
    documentation = inspect.getdoc(getattr(hookspecs, hook)) or ""
    _, found, example = documentation.partition("Example:\n")
    assert found, f"{hook} has no example"
    names = {spec.__name__: spec for spec in (PolicySpec, TaskTypeSpec, ExperimentSpec, RunnerSpec, CommandSpec)}
    scope: dict[str, object] = {"hookimpl": hookspecs.hookimpl, **names}
    exec(inspect.cleandoc(example), scope)
    specs = list(scope[hook]())  # type: ignore[operator]  # the example defines the hook as a function
    assert specs
    assert all(isinstance(spec, HOOKS[hook]) for spec in specs)


def test_loading_imports_nothing_heavy(python: Crl) -> None:
    heavy = "{'torch', 'gymnasium', 'numpy', 'pydantic'}"
    code = f"import sys; from crl_core.plugins import registry; registry(); print(sorted({heavy} & set(sys.modules)))"
    assert python("-c", code).stdout == "[]\n"
