"""Whatever a config file says, it is taken, or refused in one message; until it is taken nothing is written."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crl_core.cli.main import main
from crl_core.config import RunConfig
from crl_core.errors import CrlError
from crl_core.plugins import registry
from crl_core.policy_settings import policy_config_class
from crl_core.queue import Queue
from crl_core.queue_runs import check_experiments, plan_entry

RUN = {"policy": "random", "experiment": "tutorial"}
POLICIES = sorted(each.spec.name for each in registry().policies())  # of this package alone, or of all
LONGEST_MESSAGE = 50_000
MEGABYTE = "x" * 1_000_000

quick = settings(
    max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)


def settings_of(policy: str) -> dict[str, list[Any]]:
    """Return the names of settings, each with values that are as good as its default."""
    config = policy_config_class(registry().policy(policy))
    fields = {**config.model_fields, **RunConfig.model_fields}
    defaults = {name: field.default for name, field in fields.items() if not field.is_required()}
    taken = {name: [value, str(value)] if value is not None else [None, "none"] for name, value in defaults.items()}
    ignored = {name: [None, "x", [1], {"a": 0.5}, float("nan")] for name in config.ignored_settings}
    del taken["output_dir"]
    if "clip_eps" in taken:
        taken["clip_eps"] = [None]  # another name of clip_param, which takes no "none"
    return {**taken, **ignored}


SETTINGS = {policy: settings_of(policy) for policy in POLICIES}


# Values ------------------------------------------------------------------------------------------------------------

odd_text = st.sampled_from(
    [
        *("", " ", "none", "null", "true", "nan", "inf", "1e400", "-1", "1_000", "²", "١٢", "0x10", "[1, 2]", "{}"),
        *("\0", "a\0b", "\ud800", "\udfff.json", "\n", "\x1b[31m", "..", "/", "~", "-", "--seed", "a/b/c", "\u202e"),
        *("auto", "cuda:x", "cuda:-1", "cpu:256", "batch", "sync", "pipelined", "tutorial", "atari", "missing/random"),
        *("9" * 5000, "1e4000", "[" * 5000, '{"a": ' * 500, "tutorial.json", "..json", ".toml", "x" * 300 + ".json"),
    ]
)
text = st.text(st.characters(), max_size=20) | odd_text | st.just(MEGABYTE)
numbers = (
    st.integers(-3, 20)
    | st.sampled_from([2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**20, 10**400, -(10**4000)])
    | st.floats()
    | st.sampled_from([1e300, -1e-320, -0.0, 5.0, 1e15])
)
scalars = st.none() | st.booleans() | numbers | text
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


any_value = values | st.sampled_from([40, 60, 300]).map(nested)
experiments = st.sampled_from(
    [
        *("tutorial", "gym:CartPole-v1", "gym:CartPole-v1,CartPole-v1", "gym:Pendulum-v1", "gym:", "gym:,", "gym::"),
        *("gym:CartPole", "gym:CartPole-v9999", "gym:CartPole-v" + "9" * 5000, "gym:a:b:c-v0", "gym:os:path"),
        *("gym:.:x", "gym:../x", "gym:\0-v0", "gym:" + MEGABYTE, "CartPole-v1", "tutorail"),
        *("study.json", ".json", MEGABYTE + ".json"),
    ]
)


def spelt(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from([name, name.replace("_", "-"), f"--{name}"])


def misspelt(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from([name.upper(), f"{name} ", f"{name}s", f"-{name}", name[1:]]) | text


@st.composite
def good_entries(draw: st.DrawFn) -> dict[str, Any]:
    """Return an entry that is taken, whatever it says."""
    policy = draw(st.sampled_from(POLICIES))
    names = draw(st.lists(st.sampled_from(sorted(SETTINGS[policy])), max_size=4, unique=True))
    chosen = {draw(spelt(name)): draw(st.sampled_from(SETTINGS[policy][name])) for name in names}
    return {"policy": policy, "experiment": "tutorial", **chosen}


@st.composite
def odd_entries(draw: st.DrawFn) -> dict[str, Any]:
    """Return an entry in which one value is odd, or one name."""
    entry = draw(good_entries())
    name = draw(st.sampled_from(sorted(SETTINGS[entry["policy"]])))
    if draw(st.booleans()):
        return {**entry, draw(spelt(name)): draw(st.integers(-1, 9) | st.floats(0, 1) | odd_text | any_value)}
    return {**entry, draw(misspelt(name)): draw(st.sampled_from(SETTINGS[entry["policy"]][name]))}


@st.composite
def unfounded_entries(draw: st.DrawFn) -> dict[str, Any]:
    """Return an entry in which what all the rest depends on is odd or gone."""
    entry = draw(good_entries())
    changed = draw(st.sampled_from(["policy", "experiment", "experiment", "preset", "seeds", "output_dir", "device"]))
    if draw(st.integers(0, 9)) == 0:
        entry.pop(changed, None)
        return entry
    return {**entry, changed: draw(experiments if changed == "experiment" else any_value)}


# Only CLEAR has files of its own.
large_file_paths = text | st.sampled_from(["replay", "study.json", "study.json/x", "/", "", "/proc/self/x"])
clear_entries = st.fixed_dictionaries(
    {
        "policy": st.just("clear"),
        "experiment": st.just("tutorial"),
        "large_file_path": large_file_paths,
        "replay_buffer_frames": st.sampled_from([1, 1000, 10**12, 2**63 - 1, "1e300"]),
    }
)
entries = good_entries() | odd_entries() | unfounded_entries()
if "clear" in POLICIES:
    entries |= clear_entries
seeds = (
    st.lists(st.integers(0, 9) | st.just(2**63 - 1), min_size=1, max_size=4)
    | st.lists(numbers | st.booleans() | text, max_size=4)
    | any_value
)
documents = values | st.lists(st.dictionaries(text, any_value, max_size=4) | entries | values, max_size=3)

TOML = """# two runs
[[entries]]
policy = "ppo"
experiment = 'tutorial'
gamma = 0.5
comment = "a\\tb"

[[entries]]
policy = "random"
experiment = "tutorial"
num-envs = 2
seeds = [0, 1]
"""
MISPLACED = [
    *(b'"', b"[", b"]", b"{", b"}", b",", b"=", b"\n", b"\0", b"\xff", b"\\u", b"\xef\xbb\xbf", b"1e999", b"1979-05-27")
]


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Return a file's bytes, some of them left out and others in their place."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = start + draw(st.integers(0, 4))
        content = content[:start] + draw(st.sampled_from(MISPLACED) | st.binary(max_size=3)) + content[end:]
    return content


def as_json(document: Any) -> bytes:
    return json.dumps(document).encode()


# What holds of any file --------------------------------------------------------------------------------------------


def assert_one_message(error: CrlError, path: Path) -> None:
    message = str(error)
    assert str(path) in message
    assert len(message) < LONGEST_MESSAGE
    message.encode()  # or no terminal could show it


def take_or_refuse(content: bytes, *, name: str = "study.json", others: Mapping[str, bytes] | None = None) -> bool:
    """Do with a config file what a run of it does before it writes anything; tell whether it is taken."""
    files = {name: content, **(others or {})}
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        for file, held in files.items():
            Path(file).write_bytes(held)
        taken = _is_taken(Path(directory, name))
        assert sorted(map(str, Path().iterdir())) == sorted(files)
        assert all(Path(file).read_bytes() == held for file, held in files.items())
    return taken


def _is_taken(path: Path) -> bool:
    try:
        queue = Queue(path, {"output_dir": str(path.parent / "out")})
        check_experiments(queue)
    except CrlError as error:
        assert_one_message(error, path)
        return False
    for entry in queue.entries[:3]:
        with contextlib.suppress(CrlError), mock.patch("crl_core.plan.environment_record", dict):
            assert len(json.dumps(plan_entry(queue, entry).record())) > 0  # what run.json is to hold
    return True


@quick
@given(document=documents)
def test_any_document(document: Any) -> None:
    take_or_refuse(as_json(document))


@settings(quick, max_examples=200)
@given(run=good_entries())
def test_good_runs_are_taken(run: dict[str, Any]) -> None:
    assert take_or_refuse(as_json([run]))


@settings(quick, max_examples=200)
@given(run=odd_entries())
def test_runs_with_an_odd_setting(run: dict[str, Any]) -> None:
    take_or_refuse(as_json([RUN, run]))


@settings(quick, max_examples=200)
@given(run=unfounded_entries())
def test_runs_of_which_what_all_depends_on_is_odd(run: dict[str, Any]) -> None:
    take_or_refuse(as_json([RUN, run]))


@settings(quick, max_examples=200)
@given(run=entries)
def test_runs_of_any_kind(run: dict[str, Any]) -> None:
    take_or_refuse(as_json([RUN, run]))


@quick
@given(run=good_entries(), seeds=seeds)
def test_odd_seeds(run: dict[str, Any], seeds: Any) -> None:
    run.pop("seed", None)
    take_or_refuse(as_json([{**run, "seeds": seeds}]))


@quick
@given(content=damaged(json.dumps([RUN, {**RUN, "seeds": [0, 1], "comment": "a\\b"}], indent=1).encode()))
def test_damaged_json(content: bytes) -> None:
    take_or_refuse(content)


@quick
@given(content=damaged(TOML.encode()))
def test_damaged_toml(content: bytes) -> None:
    take_or_refuse(content, name="study.toml")


@quick
@given(content=st.binary(max_size=50), name=st.sampled_from(["study.json", "study.toml", "study.JSON", "...json", "a"]))
def test_any_bytes(content: bytes, name: str) -> None:
    take_or_refuse(content, name=name)


# Experiment files, which entries name ------------------------------------------------------------------------------

task_values = (
    st.sampled_from([1, 20, True, "1", "a", "native", None, {}, []])
    | scalars
    | st.dictionaries(text, scalars, max_size=2)
    | st.lists(scalars, max_size=2)
)
good_tasks = st.just({"type": "vector", "id": "a", "env": "CartPole-v1", "num_timesteps": 10})
tasks = st.builds(
    lambda odd: {"type": "vector", "id": "a", "env": "CartPole-v1", "num_timesteps": 10, **odd},
    st.dictionaries(
        st.sampled_from(["type", "id", "env", "env_kwargs", "wrappers", "num_timesteps", "vectorization", "eval_mode"])
        | st.sampled_from(["action_space_id", "max_episode_steps", "eval_max_steps", "no_such_field"])
        | text,
        task_values,
        max_size=1,
    ),
)
experiment_files = st.fixed_dictionaries(
    {"tasks": st.lists(tasks, min_size=1, max_size=2) | st.lists(good_tasks | scalars, max_size=2) | scalars},
) | st.fixed_dictionaries(
    {"tasks": st.lists(good_tasks, min_size=1, max_size=1)},
    optional={"cycle_count": task_values, "continual_testing_freq": task_values, "no_such_field": task_values},
)


@quick
@given(experiment=experiment_files | values)
def test_odd_experiment_files(experiment: Any) -> None:
    run = as_json([RUN, {**RUN, "experiment": "games.json"}])
    take_or_refuse(run, others={"games.json": as_json(experiment)})


# The command line --------------------------------------------------------------------------------------------------


def refused(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command line, which has to refuse; return what it says."""
    before = sorted(Path().iterdir())
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    said = capsys.readouterr()
    assert exit_.value.code == 2
    assert said.out == ""
    assert said.err.startswith("Error: ")
    assert "Traceback" not in said.err
    assert len(said.err) < LONGEST_MESSAGE
    assert sorted(Path().iterdir()) == before
    return said.err


@pytest.fixture
def in_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    monkeypatch.chdir(tmp_path)
    return lambda content: Path("study.json").write_text(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "study.json is not JSON: Expecting value at line 1, column 1"),
        ('[\n {"policy": "random",}\n]', "study.json is not JSON: "),
        ("{}", "study.json: a config file is a list of runs"),
        (json.dumps([RUN, 3]), "entry 1 is 3"),
        (json.dumps([RUN, {"policy": "random"}]), "entry 1: --experiment: is required"),
        (json.dumps([RUN, {"experiment": "tutorial"}]), "entry 1: --policy: is required"),
        (
            json.dumps([RUN, {**RUN, "policy": "randon"}]),
            "study.json:\n  entry 1: unknown policy 'randon'. Did you mean",
        ),
        (json.dumps([RUN, {**RUN, "policy": 3}]), "entry 1: policy: should be text, got 3"),
        (json.dumps([RUN, {**RUN, "num-env": 3}]), "entry 1: num_env: is not a setting. Did you mean 'num_envs'?"),
        (json.dumps([RUN, {**RUN, "experiment": "gym:No-v1"}]), "entry 1: environment 'No-v1' cannot be made"),
        (json.dumps([RUN, {**RUN, "comment": MEGABYTE, "seed": MEGABYTE}]), "entry 1: seed: should be a whole number"),
        (json.dumps([RUN]).replace("tutorial", "\\ud800"), "at [0].experiment text with \\ud800"),
    ],
)
def test_the_command_line_refuses(
    in_directory: Callable[[str], None], content: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    in_directory(content)
    assert message in refused(["run", "--config-file", "study.json", "--all"], capsys)


@pytest.mark.parametrize("label", ["7", "-1", "", "0:", "1", "1:2", "01", "0 ", "²", "a\nb", "9" * 5000, "[1]"])
def test_entries_that_are_not_there(
    in_directory: Callable[[str], None], label: str, capsys: pytest.CaptureFixture[str]
) -> None:
    in_directory(json.dumps([RUN, {**RUN, "seeds": [0, 1]}]))
    assert "there is no entry" in refused(["run", "--config-file", "study.json", f"--resume-id={label}"], capsys)


@pytest.mark.parametrize(
    "path", ["absent.json", ".", "", "folder.json", "pipe.json", "study.json/x.json", MEGABYTE[:5000]]
)
def test_paths_of_no_config_file(
    in_directory: Callable[[str], None], path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    in_directory(json.dumps([RUN]))
    Path("folder.json").mkdir()
    os.mkfifo("pipe.json")
    assert path in refused(["run", f"--config-file={path}"], capsys)
