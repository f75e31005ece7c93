"""The main job on the real command line: what it leaves behind, how it is ended, what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Crl = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]

TUTORIAL = ["run", "--experiment", "tutorial", "--num-actors", "4", "--batch-size", "4", "--unroll-length", "5"]
SHORT = ["--num-timesteps", "60", "--continual-eval-num-returns", "2"]
ENDLESS = ["--num-timesteps", "1000000", "--continual-eval-num-returns", "2"]


def rows(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def status(directory: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((directory / "status.json").read_text())
    return record


def numbered(directory: Path) -> list[int]:
    return sorted(int(path.name) for path in (directory / "checkpoints").iterdir() if path.name.isdigit())


def test_clear_on_the_tutorial_leaves_a_whole_run(crl: Crl, tmp_path: Path) -> None:
    result = crl(*TUTORIAL, *SHORT, "--policy", "clear", "--seed", "5", "--output-dir", "run", "--comment", "a try")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "finished: run" in result.stdout

    directory = tmp_path / "run"
    names = {path.name for path in directory.iterdir()}
    assert {"run.json", "status.json", "metrics.jsonl", "timing.jsonl", "log.txt", "checkpoints", "replay"} <= names
    record = json.loads((directory / "run.json").read_text())
    assert (record["run"]["seed"], record["run"]["comment"]) == (5, "a try")
    assert record["policy"]["name"] == "clear"
    assert record["policy"]["settings"]["unroll_length"] == 5
    assert [task["num_timesteps"] for task in record["experiment"]["tasks"]] == [60, 60]
    assert {"crl-core", "crl-policies-clear", "crl-policies-impala"} <= record["plugins"].keys()

    found = rows(directory)
    figures = {row["name"] for row in found}
    assert {"train_reward/0", "train_reward/1", "eval_reward/0", "eval_reward/1"} <= figures
    assert {"loss/total", "loss/policy_cloning", "loss/value_cloning", "replay/unrolls"} <= figures
    (first_end, second_end) = (row["step"] for row in found if row["name"] == "task_end")
    evaluations = [row["step"] for row in found if row["name"] == "eval_reward/0"]
    assert evaluations == [0, first_end, second_end]
    assert 60 <= first_end < 80
    assert 60 <= second_end - first_end < 80

    assert numbered(directory)[-1] == second_end
    assert {"cycle0_task0", "cycle0_task1"} <= {path.name for path in (directory / "checkpoints").iterdir()}
    ended = status(directory)
    assert (ended["state"], ended["total_steps"]) == ("finished", second_end)


def test_the_same_seed_gives_the_same_metrics(crl: Crl, tmp_path: Path) -> None:
    def metrics(name: str, seed: str) -> bytes:
        result = crl(*TUTORIAL, *SHORT, "--policy", "impala", "--runner", "batch", "--seed", seed, "--output-dir", name)
        assert result.returncode == 0, result.stderr
        return (tmp_path / name / "metrics.jsonl").read_bytes()

    first = metrics("a", "1")
    assert metrics("b", "1") == first
    assert b'"loss/total"' in first


def test_a_tiny_run_on_atari(crl: Crl, tmp_path: Path) -> None:
    result = crl(
        *("run", "--policy", "clear", "--preset", "atari", "--experiment", "breakout", "--output-dir", "run"),
        *("--num-timesteps", "40", "--num-actors", "2", "--batch-size", "2", "--unroll-length", "10"),
        *("--continual-eval-num-returns", "1", "--eval-max-steps", "5", "--replay-buffer-frames", "200"),
    )
    assert result.returncode == 0, result.stderr
    assert status(tmp_path / "run")["state"] == "finished"
    lengths = {row["value"] for row in rows(tmp_path / "run") if row["name"].startswith("eval_length/")}
    assert lengths == {5.0}
    assert (tmp_path / "run" / "replay").is_dir()


def test_a_dry_run_prints_the_resolved_run_and_writes_nothing(crl: Crl, tmp_path: Path) -> None:
    result = crl(*TUTORIAL, "--policy", "clear", "--dry-run", "--num-timesteps", "25e6", "--seed=3")
    assert result.returncode == 0, result.stderr
    record = json.loads(result.stdout)
    assert record["run"]["seed"] == 3
    assert [task["num_timesteps"] for task in record["experiment"]["tasks"]] == [25_000_000] * 2
    assert record["policy"]["settings"]["num_actors"] == 4
    assert left_behind(tmp_path) == set()


def left_behind(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} - {"site"}


POLICY = ["--policy", "impala"]


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["--policy", ""], ["unknown policy ''. `crl list policies` shows"]),
        (["--policy", "impalla"], ["unknown policy 'impalla'. Did you mean 'impala'?"]),
        ([*POLICY, "--experiment", "tutrial"], ["unknown experiment 'tutrial'. Did you mean 'tutorial'?"]),
        ([*POLICY, "--preset", "atary"], ["no preset 'atary'. Did you mean 'atari'?"]),
        ([*POLICY, "--unrol-length", "3"], ["no option '--unrol-length'. Did you mean '--unroll-length'?"]),
        ([*POLICY, "--use-lstm"], ["--use-lstm: recurrent networks are not supported yet"]),
        ([*POLICY, "--runner", "sync"], ["--runner: ", "'sync' is not one this policy supports: pipelined, batch"]),
        (
            [*POLICY, "--seed", "-1", "--num-timesteps", "0", "--learning-rate", "fast", "--device", "gpu"],
            ["4 settings are wrong:", "--seed: ", "--num-timesteps: ", "--learning-rate: ", "--device: "],
        ),
        ([*POLICY, "--device", "cuda:99"], ["--device: 'cuda:99' is not there on this machine; here are: cpu"]),
        ([*POLICY, "--output-dir", "site"], ["--output-dir: site exists and is not an empty directory"]),
        ([*POLICY, "--output-dir", "site/file/run"], ["--output-dir: site/file/run cannot be"]),
        ([*POLICY, "--output-dir", "site/run"], ["--output-dir: site/run holds another run already"]),
        ([*POLICY, "--output-dir", "x" * 300], ["--output-dir: xxx", "File name too long"]),
    ],
)
def test_what_is_refused_leaves_nothing(
    crl: Crl, site: Path, tmp_path: Path, arguments: list[str], messages: list[str]
) -> None:
    (site / "file").write_text("mine")
    (site / "run").mkdir()
    (site / "run" / "run.json").write_text("{}")
    before = {path: path.read_text() for path in site.rglob("*") if path.is_file()}
    result = crl("run", "--experiment", "tutorial", *arguments)
    assert result.returncode == 2
    for message in messages:
        assert message in result.stderr
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.stderr
    assert left_behind(tmp_path) == set()
    assert {path: path.read_text() for path in site.rglob("*") if path.is_file()} == before


def test_replay_that_does_not_fit_is_refused_before_anything_is_made(crl: Crl, tmp_path: Path) -> None:
    result = crl(*TUTORIAL, *ENDLESS, "--policy", "clear", "--num-timesteps", "1e15", "--replay-buffer-frames", "1e15")
    assert result.returncode == 2
    assert "Error: --replay-buffer-frames: " in result.stderr
    assert left_behind(tmp_path) == set()


@pytest.fixture
def start(tmp_path: Path, site: Path) -> Iterator[Start]:
    """Return a function that starts the real command line in a session of its own, as a terminal would."""
    started: list[subprocess.Popen[str]] = []

    def start_crl(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "crl_core", *arguments],
            env={**os.environ, "PYTHONPATH": str(site)},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start_crl
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)  # between two looks, not for anything to happen


def in_first_evaluation(directory: Path) -> Callable[[], bool]:
    return (directory / "checkpoints" / "0" / "state.json").exists


def training(directory: Path) -> Callable[[], bool]:
    metrics = directory / "metrics.jsonl"
    return lambda: metrics.exists() and '"loss/total"' in metrics.read_text()


def processes_of_session(session: int) -> list[str]:
    """Return the commands of the processes of a session, which are our child and whatever it started."""
    found = []
    for path in Path("/proc").iterdir():
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            if path.name.isdigit() and int(fields[3]) == session and fields[0] != "Z":
                found.append((path / "cmdline").read_text())
        except OSError:
            continue  # it has just ended, or is no process
    return [command for command in found if command]  # one without is ending: its memory is gone already


def assert_saved(process: subprocess.Popen[str], directory: Path, name: str) -> None:
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "")
    assert "the run was saved" in stdout
    ended = status(directory)
    assert (ended["state"], ended["reason"]) == ("interrupted", name)
    newest = numbered(directory)[-1]
    assert newest == ended["total_steps"]
    state = json.loads((directory / "checkpoints" / str(newest) / "state.json").read_text())
    assert state["log_lengths"]["metrics.jsonl"] == (directory / "metrics.jsonl").stat().st_size
    assert processes_of_session(process.pid) == []


# An evaluation that lasts: the tutorial's episodes are short, so there must be many of them.
LONG_EVALUATION = ["--num-timesteps", "100000000", "--continual-eval-num-returns", "1000000"]


@pytest.mark.parametrize(
    ("number", "arguments", "until"),
    [
        (signal.SIGINT, ["--policy", "impala", *LONG_EVALUATION], in_first_evaluation),
        (signal.SIGINT, ["--policy", "clear", *ENDLESS], training),
        (signal.SIGTERM, ["--policy", "impala", *ENDLESS], training),
    ],
)
def test_a_request_to_end_saves_and_ends_soon(
    start: Start, tmp_path: Path, number: signal.Signals, arguments: list[str], until: Any
) -> None:
    process = start(*TUTORIAL, *arguments, "--output-dir", "run")
    wait_for(until(tmp_path / "run"), process)
    asked = time.monotonic()
    os.killpg(process.pid, number)  # as a terminal does
    assert_saved(process, tmp_path / "run", number.name)
    assert time.monotonic() - asked < 20  # five on a machine that does nothing else


WORKERS = """
from crl_core.hookspecs import hookimpl
from crl_core.specs import ExperimentSpec


@hookimpl
def crl_experiments():
    yield ExperimentSpec(name="in_workers", summary="Catch, in processes.", build="fixture_workers:build")


def build():
    from crl_core.experiment import Experiment
    from crl_core.tutorial import tutorial

    tasks = [task.model_copy(update={"vectorization": "processes"}) for task in tutorial().tasks[:1]]
    return Experiment(tasks=tasks)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_ends_worker_processes_too(
    start: Start, tmp_path: Path, install_code: Callable[..., None], number: signal.Signals
) -> None:
    install_code("fixture-workers", WORKERS)
    process = start(
        *("run", "--experiment", "in_workers", "--num-actors", "2", "--batch-size", "2", "--unroll-length", "5"),
        *(*ENDLESS, "--policy", "impala", "--output-dir", "run"),
    )
    wait_for(training(tmp_path / "run"), process)
    assert len(processes_of_session(process.pid)) >= 3
    os.killpg(process.pid, number)
    assert_saved(process, tmp_path / "run", number.name)


def test_no_worker_outlives_a_killed_run(start: Start, tmp_path: Path, install_code: Callable[..., None]) -> None:
    install_code("fixture-workers", WORKERS)
    process = start(
        *("run", "--experiment", "in_workers", "--num-actors", "2", "--batch-size", "2", "--unroll-length", "5"),
        *(*ENDLESS, "--policy", "impala", "--output-dir", "run"),
    )
    wait_for(training(tmp_path / "run"), process)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while processes_of_session(process.pid):
        assert time.monotonic() < deadline, processes_of_session(process.pid)
        time.sleep(0.02)
    assert status(tmp_path / "run")["state"] == "running"  # its heartbeat stops


def test_a_second_ctrl_c_ends_at_once(start: Start, tmp_path: Path) -> None:
    process = start(*TUTORIAL, *ENDLESS, "--policy", "impala", "--output-dir", "run")
    wait_for(training(tmp_path / "run"), process)
    for _ in range(2):  # if they come at once, they are taken as one, which saves first
        os.kill(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert processes_of_session(process.pid) == []
