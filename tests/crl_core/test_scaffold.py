"""`crl new`: names, texts, and files that are all there or none."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.conftest import write_metadata

from crl_core.errors import ConfigError
from crl_core.scaffold.names import Kind, Names, choose_names
from crl_core.scaffold.render import LICENSES, render
from crl_core.scaffold.write import write_package

Run = Callable[..., "subprocess.CompletedProcess[str]"]

KINDS: tuple[Kind, ...] = get_args(Kind)
PLACEHOLDERS = ("my-algo", "my_algo", "MyAlgo", "my-maze", "my_maze", "MyMaze", "<author>", "<year>", "<license")
HOME = Names("home", "home-made")


def metadata(files: dict[str, str]) -> dict[str, Any]:
    return tomllib.loads(files["pyproject.toml"])["project"]


def files_under(directory: Path) -> dict[str, str]:
    paths = [path for path in directory.rglob("*") if path.is_file()]
    return {path.relative_to(directory).as_posix(): path.read_text() for path in paths}


def test_names_of_what_is_in_a_package() -> None:
    names = choose_names("policy", "my_2nd-algoB", None)
    assert names.distribution == "crl-policies-my-2nd-algob"
    assert names.module == "crl_policies_my_2nd_algob"
    assert names.class_prefix == "My2ndAlgoB"
    assert choose_names("task", "home", None).distribution == "crl-tasks-home"
    assert choose_names("task", "home", "Home-Made").module == "home_made"


@pytest.mark.parametrize("name", ["", "a b", "2nd", "-a", "a-", "a--b", "a.b", "a/b", "../a", "é", "a\n", 'a"', "$a"])
def test_a_name_of_the_wrong_form(name: str) -> None:
    with pytest.raises(ConfigError, match="use letters and digits"):
        choose_names("policy", name, None)
    with pytest.raises(ConfigError, match="the distribution cannot be"):
        choose_names("policy", "fine", name)


def test_a_name_that_is_too_long() -> None:
    assert choose_names("policy", "a" * 30, None).name
    with pytest.raises(ConfigError, match="31 characters, and 30 is the limit"):
        choose_names("policy", "a" * 31, None)
    with pytest.raises(ConfigError, match="46 characters, and 45 is the limit"):
        choose_names("policy", "a", "a" * 46)


@pytest.mark.parametrize(
    ("kind", "name", "distribution", "message"),
    [
        ("policy", "random", None, "there is policy 'random' already, from crl-core .*; choose another name"),
        ("task", "tutorial", None, "there is experiment 'tutorial' already, from crl-core"),
        ("policy", "Policy", None, "choose a name of its own"),
        ("policy", "fine", "json", "Python has a module 'json' already"),
        ("policy", "fine", "crl-core", "Python has a module 'crl_core' already"),
        ("task", "fine", "class", "a word of Python's own"),
    ],
)
def test_a_name_that_is_taken(kind: Kind, name: str, distribution: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        choose_names(kind, name, distribution)


def test_a_policy_may_be_called_like_an_experiment() -> None:
    assert choose_names("policy", "tutorial", None).name == "tutorial"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("license_name", [*LICENSES, "none"])
def test_nothing_of_the_example_is_left(kind: Kind, license_name: str) -> None:
    for path, text in render(kind, HOME, license_name=license_name).items():
        assert not [word for word in PLACEHOLDERS if word in path or word in text], path


@pytest.mark.parametrize("kind", KINDS)
def test_metadata(kind: Kind) -> None:
    files = render(kind, HOME)
    project = metadata(files)
    assert (project["name"], project["license"]) == ("home-made", "MIT")
    assert project["authors"] == [{"name": "The home-made authors"}]
    assert project["entry-points"] == {"crl_core.v1": {"home": "home_made.plugin"}}
    assert "crl-core>=0.1,<0.2" in project["dependencies"]


def test_every_file_of_a_package_is_there() -> None:
    whole = {".github/workflows/tests.yml", ".gitignore", "LICENSE", "README.md", "pyproject.toml"}
    light = {"__init__.py", "plugin.py", "py.typed"}
    sources = {
        "policy": light | {"config.py", "loss.py", "network.py", "policy.py"},
        "task": light | {"env.py", "experiments.py"},
    }
    tests = {
        "policy": {"tests/test_loss.py", "tests/test_policy.py"},
        "task": {"tests/test_env.py", "tests/test_experiments.py"},
    }
    for kind in KINDS:
        assert {*render(kind, HOME)} == whole | {f"src/home_made/{name}" for name in sources[kind]} | tests[kind]


def test_it_depends_on_the_core_that_wrote_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: "0.23.4rc1")
    assert "crl-core>=0.23,<0.24" in metadata(render("policy", HOME))["dependencies"]


@pytest.mark.parametrize(("license_name", "identifier"), LICENSES.items())
def test_licenses(license_name: str, identifier: str) -> None:
    files = render("policy", HOME, author="Ada Lovelace", license_name=license_name)
    assert metadata(files)["license"] == identifier
    assert f"{identifier}, see [LICENSE](LICENSE)." in files["README.md"]
    assert identifier.replace("-", " ").split(".")[0].split(" 2")[0] in files["LICENSE"].replace("-", " ")
    assert ("Ada Lovelace" in files["LICENSE"]) == (license_name != "apache-2.0")  # whose text names nobody


def test_no_license() -> None:
    files = render("policy", HOME, license_name="none")
    assert "LICENSE" not in files
    assert "license" not in metadata(files)
    assert "None yet" in files["README.md"]


@pytest.mark.parametrize("author", ['Ada "Countess" Lovelace', "back\\slash", "Café, my-algo <author>", "名"])
def test_any_author(author: str) -> None:
    files = render("policy", HOME, author=author)
    assert metadata(files)["authors"] == [{"name": author}]
    assert f" {author}\n" in files["LICENSE"]


@pytest.mark.parametrize("author", ["", "  ", "two\nlines", "\x1b[31m"])
def test_an_author_that_is_no_line_of_text(author: str) -> None:
    with pytest.raises(ConfigError, match="give a name, on one line"):
        render("policy", HOME, author=author)


@pytest.mark.parametrize("exists", [False, True])
def test_files_are_written_into_a_directory_that_is_new_or_empty(tmp_path: Path, exists: bool) -> None:
    directory = tmp_path / "parent" / "package"
    if exists:
        directory.mkdir(parents=True)
    files = {"a.txt": "1\n", "b/c/.d": "é\n"}
    write_package(directory, files)
    assert files_under(tmp_path / "parent") == {f"package/{path}": text for path, text in files.items()}


def test_a_directory_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty; choose another place with --output-dir"):
        write_package(tmp_path, {"a": ""})
    with pytest.raises(ConfigError, match="file is a file"):
        write_package(tmp_path / "file", {"a": ""})
    with pytest.raises(ConfigError, match=r"cannot write to .*; choose another place"):
        write_package(tmp_path / "file" / "package", {"a": ""})
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ConfigError, match="is where you are"):
        write_package(Path(), {"a": ""})
    assert files_under(tmp_path) == {"file": "mine"}


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), KeyboardInterrupt()])
def test_what_cannot_be_written_whole_is_not_written_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    write = Path.write_text

    def fail_at_second(path: Path, *arguments: Any, **options: Any) -> int:
        if path.name == "second":
            raise error
        return write(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", fail_at_second)
    expected = ConfigError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected, match="Permission denied" if isinstance(error, OSError) else None):
        write_package(tmp_path / "package", {"first": "1", "second": "2"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_lists_what_it_wrote_and_says_how_to_go_on(crl: Run, tmp_path: Path, kind: Kind) -> None:
    result = crl("new", kind, "home", "--output-dir", "my home", "--author", "Ada", "--license", "bsd-3-clause")

    assert (result.returncode, result.stderr) == (0, "")
    listed, _, after = result.stdout.partition("\n\nNow:\n")
    files = files_under(tmp_path / "my home")
    assert listed.splitlines() == ["my home:", *(f"  {path}" for path in sorted(files))]
    names = choose_names(kind, "home", None)
    assert files == render(kind, names, author="Ada", license_name="bsd-3-clause")
    assert "cd 'my home'\n" in after
    assert f"crl check {'policy' if kind == 'policy' else 'experiment'} home\n" in after


def test_the_command_refuses_in_one_line(crl: Run, tmp_path: Path) -> None:
    result = crl("new", "policy", "random")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: there is policy 'random' already")
    assert result.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_new_package_is_listed_and_shown_without_importing_torch(python: Run, site: Path) -> None:
    for kind in KINDS:
        names = Names(f"{kind}-of-mine", f"mine-{kind}")
        for path, text in render(kind, names).items():
            if path.startswith("src/"):
                target = site / path.removeprefix("src/")
                target.parent.mkdir(exist_ok=True)
                target.write_text(text)
        write_metadata(site, names.distribution, f"[crl_core.v1]\nx = {names.module}.plugin\n")
    code = """
import sys
from crl_core.cli.main import main
for arguments in (
    ["list"],
    ["show", "policy", "policy-of-mine"],
    ["run", "--policy=policy-of-mine", "--help"],
    ["new", "task", "--help"],
):
    try:
        main(arguments)
    except SystemExit as end:
        print("exit", end.code, "heavy", sorted({"torch", "gymnasium", "numpy"} & set(sys.modules)))
"""
    result = python("-c", code)
    assert result.stdout.count("exit 0 heavy []") == 4, result.stderr
    assert "task-of-mine" in result.stdout
    assert "preset tutorial" in result.stdout
