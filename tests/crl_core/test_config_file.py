"""Config files: every entry is validated, and every mistake is told at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crl_core.config_file import policies_named, read_config_file
from crl_core.errors import ConfigError

RUN = {"policy": "random", "experiment": "tutorial"}


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write_json(*entries: Any) -> Path:
        path = tmp_path / "study.json"
        path.write_text(json.dumps(list(entries)))
        return path

    return write_json


def test_an_entry_means_what_the_same_flags_mean(write: Any) -> None:
    (entry,) = read_config_file(write({**RUN, "num-timesteps": 25e6, "seed": "7"}), {})
    assert (entry.index, entry.seed, entry.label, entry.folder) == (0, None, "0", Path("0"))
    assert (entry.resolved.run.num_timesteps, entry.resolved.run.seed) == (25_000_000, 7)


@pytest.mark.parametrize("file", ["games/one.json", "one.TOML"])
def test_an_experiment_file_is_found_from_the_folder_of_the_config_file(write: Any, tmp_path: Path, file: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    task = {"type": "vector", "id": "cart", "env": "CartPole-v1", "num_timesteps": 50}
    path.write_text(json.dumps({"tasks": [task]}) if path.suffix == ".json" else '[[tasks]]\ntype = "vector"\n')
    seeded = {**RUN, "experiment": file, "seeds": [1]}
    entries = read_config_file(write({**RUN, "experiment": file}, {**RUN, "experiment": str(path)}, seeded), {})
    assert {entry.resolved.run.experiment for entry in entries} == {str(path)}
    (entry,) = read_config_file(write({**RUN, "experiment": "none.json"}), {"experiment": str(path)})
    assert entry.resolved.run.experiment == str(path)  # what is typed is found from where it is typed


def test_flags_go_before_every_entry(write: Any) -> None:
    entries = read_config_file(write({**RUN, "cycle_count": 3}, RUN), {"cycle-count": "2"})
    assert [entry.resolved.run.cycle_count for entry in entries] == [2, 2]


def test_an_entry_with_seeds_is_a_run_for_each(write: Any) -> None:
    entries = read_config_file(write(RUN, {**RUN, "seeds": [0, 5]}), {})
    assert [entry.label for entry in entries] == ["0", "1:0", "1:5"]
    assert [entry.folder for entry in entries] == [Path("0"), Path("1/seed_0"), Path("1/seed_5")]
    assert [entry.resolved.run.seed for entry in entries] == [0, 0, 5]


def test_toml_has_a_table_for_each_run(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text('[[entries]]\npolicy = "random"\nexperiment = "tutorial"\nseed = 3\n')
    (entry,) = read_config_file(path, {})
    assert entry.resolved.run.seed == 3
    assert policies_named(path) == ["random"]
    path.write_text("")
    with pytest.raises(ConfigError, match="it holds no run"):
        read_config_file(path, {})
    path.write_text('policy = "random"\n')
    with pytest.raises(ConfigError, match="'policy' stands outside of any run"):
        read_config_file(path, {})


def test_every_mistake_in_every_entry_is_told_at_once(write: Any) -> None:
    path = write(RUN, {"experiment": "tutorial"}, {**RUN, "seeed": 1, "cycle_count": 0}, {**RUN, "policy": "randon"})
    with pytest.raises(ConfigError) as caught:
        read_config_file(path, {})
    message = str(caught.value)
    assert message.startswith(f"{path}:\n")
    assert "entry 0" not in message
    assert "entry 1: --policy: is required" in message
    assert "entry 2: 2 settings are wrong:" in message
    assert "seeed: is not a setting. Did you mean 'seed'?" in message
    assert "cycle_count: should be greater than or equal to 1, got 0" in message
    assert "entry 3: unknown policy 'randon'. Did you mean 'random'?" in message


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({**RUN, "output_dir": "here"}, "output_dir: runs of a config file go to a folder named after it"),
        ({**RUN, "seeds": [1, 1]}, "each should stand there once"),
        ({**RUN, "seeds": []}, "should be a list of whole numbers"),
        ({**RUN, "seeds": [True]}, "should be a list of whole numbers"),
        ({**RUN, "seeds": [1], "seed": 2}, "keep one of them"),
        ({**RUN, "cycle_count": 1, "cycle-count": 2}, "'cycle_count' stands there twice"),
        ({**RUN, "policy": 3}, "policy: should be text, got 3"),
        ({**RUN, "policy": []}, r"policy: should be text, got \[\]"),
        ({**RUN, "experiment": {"a": 1}}, "experiment: should be text, got {'a': 1}"),
        ({**RUN, "preset": {}}, "preset: should be text, got {}"),
        ({**RUN, "preset": True}, "preset: should be text, got True"),
        ({**RUN, "experiment": "a\0b.json"}, "experiment: has a NUL character"),
        ({**RUN, "experiment": "x" * 300}, "unknown experiment 'x{300}'"),
        ({**RUN, "experiment": "x" * 300 + ".json"}, "cannot be read: File name too long"),
        (
            {**RUN, "experiment": "gym:" + "x" * 10_000},
            r"experiment 'gym:x{76}\.\.\.': no name or path has 10,004 letters",
        ),
        ({**RUN, "SEED": 1}, "SEED: is not a setting. Did you mean 'seed'?"),
        ({**RUN, "": 1}, "'': is not a setting"),
        ({**RUN, "a\nb": 1}, r"'a\\nb': is not a setting"),
        ({**RUN, "comment": ["\x1b[31m"]}, r"comment: should be text, got \['\\x1b\[31m'\]"),
        ({**RUN, "seed": "\x1b[31m"}, r"seed: should be a whole number, got '\\x1b\[31m'"),
    ],
)
def test_what_an_entry_may_not_say(write: Any, entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config_file(write(entry), {})


def test_what_is_very_long_is_told_in_short(write: Any) -> None:
    long = "x" * 1_000_000
    odd = [{"policy": long}, {"experiment": long}, {"seeds": [long]}, {long: 1}, {"device": long}, {"preset": long}]
    path = write(*({**RUN, **each} for each in odd), *[{}] * 1000)
    with pytest.raises(ConfigError, match=r"entry 3: x+.*is not a setting") as caught:
        read_config_file(path, {})
    assert len(str(caught.value)) < 10_000
    assert "`crl list policies` shows what is installed" in str(caught.value).splitlines()[1]
    assert str(caught.value).endswith("and 986 more")


def test_many_problems_of_an_entry_are_told_in_short(write: Any) -> None:
    with pytest.raises(ConfigError, match=r"entry 0: 100 settings are wrong:(.*\n){21} *and 80 more$"):
        read_config_file(write({**RUN, **{f"x{index}": 1 for index in range(100)}}), {})


@pytest.mark.parametrize("name", ["...json", "..json", "....toml"])
def test_the_folder_of_the_runs_is_within_the_output_directory(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("[]" if name.endswith("json") else "")
    with pytest.raises(ConfigError, match="the folder of its runs is called as the file is"):
        read_config_file(tmp_path / name, {})


def test_a_preset_of_none_is_no_preset(write: Any) -> None:
    (entry,) = read_config_file(write({**RUN, "preset": "none"}), {})
    assert entry.resolved.run.preset is None


def test_policies_that_nobody_offers_are_left_to_the_entries_that_name_them(write: Any) -> None:
    assert policies_named(write(RUN, {**RUN, "policy": "randon"}, {**RUN, "policy": 3}, RUN)) == ["random"]


@pytest.mark.parametrize("text", ["{}", "[]", "3", "[3]", '["random"]', "null"])
def test_a_config_file_is_a_list_of_objects(tmp_path: Path, text: str) -> None:
    path = tmp_path / "study.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"study\.json: (a config file is a list of runs|it holds no run)"):
        read_config_file(path, {})
