"""The command line as a user meets it: help, names, errors, exit codes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from importlib.metadata import version

import pytest

Crl = Callable[..., "subprocess.CompletedProcess[str]"]
Install = Callable[..., None]

HEAVY = "{'torch', 'gymnasium', 'numpy'}"
RUN = ["--policy", "random", "--experiment", "tutorial", "--num-timesteps", "20", "--continual-eval-num-returns", "1"]
SHALLOW = [["--version"], ["--help"], ["list"], ["plugins"], ["show", "policy", "good_one"]]


def test_version(crl: Crl) -> None:
    result = crl("--version")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"crl {version('crl-core')}\n", "")


def test_help_lists_our_commands_and_those_of_plugins(crl: Crl, install: Install) -> None:
    install("fixture-good")
    result = crl("--help")
    assert result.returncode == 0
    ours, _, theirs = result.stdout.partition("Commands of plugins:")
    for name in ("run", "resume", "queue", "list", "show", "plugins", "check", "new"):
        assert f"\n  {name} " in ours
    assert "greet" in theirs
    assert "Say hello." in theirs


def test_a_plugin_command_runs(crl: Crl, install: Install) -> None:
    install("fixture-good")
    assert crl("greet", "--name", "you").stdout == "hello you\n"
    assert crl("fixture-good/greet").stdout == "hello world\n"


@pytest.mark.parametrize("arguments", [*SHALLOW, ["run", "--policy", "good_one", "--help"]])
def test_nothing_heavy_is_imported_before_a_run(python: Crl, install: Install, arguments: list[str]) -> None:
    install("fixture-good")
    code = f"""
import sys
from crl_core.cli.main import main
try:
    main({arguments!r})
except SystemExit as end:
    print("exit", end.code, "heavy", sorted({HEAVY} & set(sys.modules)))
"""
    result = python("-c", code)
    assert result.stdout.splitlines()[-1:] == ["exit 0 heavy []"], result.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["list"]])
def test_help_and_list_import_no_pydantic_and_no_command(python: Crl, arguments: list[str]) -> None:
    code = f"""
import sys
from crl_core.cli.main import main
try:
    main({arguments!r})
except SystemExit:
    print(sorted({{"pydantic", "rich", "crl_core.cli.run", "crl_core.cli.options"}} & set(sys.modules)))
"""
    assert python("-c", code).stdout.splitlines()[-1] == "[]"


def assert_error(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    """Check that a user got one message with these parts, the exit code 2 and no traceback."""
    assert result.returncode == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr
    assert "Traceback" not in result.stderr
    for part in parts:
        assert part in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lst"], "unknown command 'lst'. Did you mean 'list'? `crl --help` shows all."),
        (["frobnicate"], "unknown command 'frobnicate'. `crl --help` shows what is installed."),
        (["list", "policy"], "'policy' is not one of 'policies', 'experiments', 'tasks', 'runners'"),
        (["show", "policy", "good_onne"], "unknown policy 'good_onne'. Did you mean 'good_one'?"),
        (["show", "experiment", "tutrial"], "unknown experiment 'tutrial'. Did you mean 'tutorial'?"),
        (["--no-plugin", "fixture-god", "list"], "cannot leave out 'fixture-god': no installed plugin has that name."),
        (["show", "policy", "absent"], "which cannot be loaded"),
        (
            ["hollow"],
            "names 'fixture_hollow.config:listing' as a command, but it is no click command",
        ),
        (["--no-such-option"], "No such option"),
    ],
)
def test_errors_are_messages(crl: Crl, install: Install, arguments: list[str], message: str) -> None:
    install("fixture-good", "fixture-hollow")
    assert_error(crl(*arguments), message)


def test_debug_shows_the_traceback(crl: Crl) -> None:
    result = crl("show", "policy", "nobody", CRL_DEBUG="1")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "UnknownNameError: unknown policy 'nobody'" in result.stderr


def test_output_is_not_held_back_and_threads_have_a_default(python: Crl) -> None:
    code = """
import os, sys
import click
from crl_core.cli import main
@main.crl.command()
def look():
    print(sys.stdout.line_buffering, os.environ["OMP_NUM_THREADS"], "torch" in sys.modules)
main.COMMANDS["look"] = ("Look.", "__main__:look")
main.main(["look"])
"""
    assert python("-c", code, OMP_NUM_THREADS="3").stdout == "True 3 False\n"


def test_interrupt_exits_130(python: Crl) -> None:
    code = """
import click
from crl_core.cli import main
@main.crl.command()
def sleep():
    raise KeyboardInterrupt
main.COMMANDS["sleep"] = ("Sleep.", "__main__:sleep")
main.main(["sleep"])
"""
    result = python("-c", code)
    assert (result.returncode, result.stderr.strip()) == (130, "interrupted")


@pytest.mark.parametrize(
    "command", [["run", *RUN], ["resume", "made"], ["eval", "made"], ["check", "policy", "random", "--only", "no_nan"]]
)
def test_numpy_is_imported_before_torch_which_would_swallow_an_interrupt(
    crl: Crl, python: Crl, command: list[str]
) -> None:
    assert crl("run", *RUN, "--output-dir", "made").returncode == 0
    code = f"""
import importlib.abc, json, pathlib, sys
from crl_core.cli.main import main
status = pathlib.Path("made/status.json")
status.write_text(json.dumps({{**json.loads(status.read_text()), "state": "interrupted"}}))
class Recorder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, *args):
        if name in ("numpy", "torch"):
            print("imported", name)
sys.meta_path.insert(0, Recorder())
main({command!r})
"""
    imported = [line for line in python("-c", code).stdout.splitlines() if line.startswith("imported ")]
    assert imported[:2] == ["imported numpy", "imported torch"]


def test_a_closed_pipe_is_no_error(python: Crl) -> None:
    code = """
import os, subprocess, sys
reader, writer = os.pipe()
os.close(reader)
print(subprocess.run([sys.executable, "-m", "crl_core", "list"], stdout=writer, stderr=subprocess.PIPE).stderr)
"""
    assert python("-c", code).stdout == "b''\n"


def test_list_shows_name_summary_and_owner(crl: Crl, install: Install) -> None:
    install("fixture-good")
    result = crl("list")
    assert (result.returncode, result.stderr) == (0, "")
    assert [line for line in result.stdout.splitlines() if not line.startswith(" ")] == [
        "policies:",
        "experiments:",
        "tasks:",
        "runners:",
    ]
    (line,) = [line for line in result.stdout.splitlines() if "good_one" in line]
    assert line.split("  ", 2)[1] == "good_one"
    assert "Does everything right." in line
    assert line.endswith("fixture-good 1.0")


def test_list_of_one_kind(crl: Crl) -> None:
    assert any(line.startswith("batch ") for line in crl("list", "runners").stdout.splitlines())


def test_list_marks_conflicts_and_warns_of_broken_plugins(crl: Crl, install: Install) -> None:
    install("fixture-good", "fixture-rival", "fixture-typo", "fixture-future")
    result = crl("list", "policies")
    assert result.returncode == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "good_one Does everything right. fixture-good 1.0 conflict: say fixture-good/good_one" in lines
    assert "good-one The rival. fixture-rival 1.0 conflict: say fixture-rival/good-one" in lines
    assert "1 plugin is broken: see `crl plugins`\n" in result.stderr
    assert "1 plugin is incompatible: see `crl plugins`\n" in result.stderr


def test_using_a_conflicting_name_is_an_error_and_the_full_name_works(crl: Crl, install: Install) -> None:
    install("fixture-good", "fixture-rival")
    assert_error(crl("show", "policy", "good_one"), "offered by fixture-rival 1.0 and fixture-good 1.0", "say which: ")
    assert crl("show", "policy", "fixture-good/good_one").returncode == 0
    assert crl("--no-plugin", "fixture-rival", "show", "policy", "good_one").returncode == 0


def test_show_policy_has_settings_presets_runners_and_what_is_ignored(crl: Crl, install: Install) -> None:
    install("fixture-good")
    result = crl("show", "policy", "good_one")
    assert (result.returncode, result.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[:3] == [
        "policy good_one: Does everything right.",
        "from fixture-good 1.0, fixture_good.policy:GoodPolicy",
        "runners: batch",
    ]
    assert "learning_rate NUMBER 0.0007 > 0 Learning rate." in lines
    assert "warmup_steps INTEGER|none none >= 1, <= 1000 Steps before learning starts." in lines
    assert lines[lines.index("preset tiny:") + 1 :][:2] == ["hidden_sizes [8]", "learning_rate 0.1"]
    assert "num_buffers because there are none" in lines


def test_show_experiment_has_its_tasks(crl: Crl) -> None:
    result = crl("show", "experiment", "tutorial")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("experiment tutorial: 2 tasks, ")
    assert "TYPE" in result.stdout
    assert "image" in result.stdout
    assert "observations: Box(" in result.stdout


def plugin_records(crl: Crl, **variables: str) -> tuple[int, dict[str, dict[str, object]]]:
    result = crl("plugins", "--json", **variables)
    return result.returncode, {record["distribution"]: record for record in json.loads(result.stdout)}


def test_plugins_exits_0_when_all_work(crl: Crl, install: Install) -> None:
    install("fixture-good")
    code, records = plugin_records(crl)
    faulty = {name: record["error"] for name, record in records.items() if record["state"] != "loaded"}
    assert (code, faulty) == (0, {})
    offers = {"policies": ["good_one"], "experiments": ["good_tasks"], "commands": ["greet"]}
    assert records["fixture-good"]["offers"] == offers


def test_plugins_reports_every_state(crl: Crl, install: Install) -> None:
    install("fixture-good", "fixture-exits", "fixture-future", "fixture-rival")
    code, records = plugin_records(crl, CRL_NO_PLUGIN="fixture-rival")
    assert code == 1
    states = {name: records[name]["state"] for name in records if name.startswith("fixture-")}
    assert states == {
        "fixture-good": "loaded",
        "fixture-exits": "broken",
        "fixture-future": "incompatible",
        "fixture-rival": "excluded",
    }
    assert "sys.exit(3)" in str(records["fixture-exits"]["traceback"])


def test_plugins_explains_what_is_broken(crl: Crl, install: Install) -> None:
    install("fixture-import-error")
    result = crl("plugins")
    assert result.returncode == 1
    assert (
        "fixture-import-error 1.0 (fixture_import_error) is broken: ImportError: the library flux is missing"
        in result.stdout
    )
    assert 'raise ImportError("the library flux is missing")' in result.stdout


def test_strict_makes_a_broken_plugin_fatal_but_still_explained(crl: Crl, install: Install) -> None:
    install("fixture-typo")
    assert_error(
        crl("list", CRL_STRICT_PLUGINS="1"),
        "CRL_STRICT_PLUGINS is set",
        "fixture-typo 1.0 is broken: there is no hook 'crl_polices'. Did you mean 'crl_policies'?",
    )
    assert crl("plugins", CRL_STRICT_PLUGINS="1").returncode == 1
    assert crl("--no-plugin", "fixture-typo", "list", CRL_STRICT_PLUGINS="1").returncode == 0
