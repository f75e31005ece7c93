"""What goes wrong in the midst of a run on the real command line: one message, no process left, a run to resume."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tests.integration import test_run
from tests.integration.test_run import Crl, Start, numbered, processes_of_session, status, training, wait_for

start = test_run.start  # the fixture

pytestmark = pytest.mark.timeout(240)  # nothing hangs

FAULTS = """
import threading
import time
from pathlib import Path

from crl_core.experiment import Experiment
from crl_core.hookspecs import hookimpl
from crl_core.random_policy import RandomPolicy
from crl_core.specs import ExperimentSpec, PolicySpec
from crl_core.tutorial import Catch, tutorial


class Breaking(Catch):
    def step(self, action):
        if Path("break").exists():
            raise ArithmeticError("the game is broken")
        return super().step(action)


class Hanging(Catch):
    def step(self, action):
        evaluation = threading.current_thread().name.startswith("evaluation")
        while Path("hang").exists() or (evaluation and Path("hang_evaluation").exists()):
            time.sleep(0.1)
        return super().step(action)


class Faulty(RandomPolicy):
    def train(self, rollouts, *, progress):
        if Path("raise").exists():
            raise KeyError("a slip of the author")
        return {"loss/total": float("nan") if Path("nan").exists() else 0.0}


@hookimpl
def crl_policies():
    config = "crl_core.random_policy_config:RandomConfig"
    yield PolicySpec(name="faulty", summary="Fails.", policy="fixture_faults:Faulty", config=config)


@hookimpl
def crl_experiments():
    yield ExperimentSpec(name="breaking", summary="Catch.", build="fixture_faults:breaking")
    yield ExperimentSpec(name="hanging", summary="Catch.", build="fixture_faults:hanging")
    yield ExperimentSpec(name="hanging_in_workers", summary="Both.", build="fixture_faults:hanging_in_workers")
    yield ExperimentSpec(name="in_workers", summary="Catch, in processes.", build="fixture_faults:in_workers")


def breaking():
    return _changed(env="fixture_faults:Breaking")


def hanging():
    return _changed(env="fixture_faults:Hanging", step_timeout_seconds=3.0)


def hanging_in_workers():
    return _changed(env="fixture_faults:Hanging", vectorization="processes")


def in_workers():
    return _changed(vectorization="processes")


def _changed(**changes):
    return Experiment(tasks=[tutorial().tasks[0].model_copy(update=changes)])
"""

RUN = [
    *("run", "--output-dir", "run", "--num-timesteps", "2000000", "--continual-eval-num-returns", "2"),
    *("--timesteps-per-save", "2000", "--device", "cpu"),
]
FAULTY = [*RUN, "--policy", "faulty", "--num-envs", "2"]
BREAKING = [*FAULTY, "--experiment", "breaking"]
IMPALA = [*RUN, "--policy", "impala", "--num-actors", "2", "--batch-size", "2", "--unroll-length", "5"]


@pytest.fixture
def faults(install_code: Callable[..., None]) -> None:
    install_code("fixture-faults", FAULTS)


def started(start: Start, directory: Path, *arguments: str) -> subprocess.Popen[str]:
    process = start(*arguments)
    wait_for(training(directory), process)
    return process


def assert_one_message(process: subprocess.Popen[str], *messages: str) -> None:
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2, stderr
    assert "Traceback" not in stderr
    for message in messages:
        assert message in stderr
    assert_no_process_is_left(process)


def assert_no_process_is_left(process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while processes_of_session(process.pid):  # multiprocessing's own helper ends when it sees that we did
        assert time.monotonic() < deadline, processes_of_session(process.pid)
        time.sleep(0.02)


def assert_goes_on(start: Start, directory: Path) -> None:
    before = json.dumps(status(directory))
    process = start("resume", str(directory))
    wait_for(lambda: json.dumps(status(directory)) != before, process)
    length = (directory / "metrics.jsonl").stat().st_size
    wait_for(lambda: (directory / "metrics.jsonl").stat().st_size > length, process)
    process.terminate()
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "")
    assert "resumed at step" in stdout


@pytest.mark.parametrize("runner", ["pipelined", "batch"])
def test_a_killed_worker_ends_the_run(faults: None, start: Start, tmp_path: Path, runner: str) -> None:
    directory = tmp_path / "run"
    process = started(start, directory, *IMPALA, "--experiment", "in_workers", "--runner", runner)
    worker_processes(process)[0].kill()
    assert_one_message(process, "task 'catch'", "a worker process died: ", "(exit code -9)")
    assert status(directory)["state"] == "failed"
    assert numbered(directory)[-1] == status(directory)["total_steps"]  # it was saved first
    assert_goes_on(start, directory)


@pytest.mark.parametrize(
    ("run", "runner", "message"),
    [
        (IMPALA, "pipelined", "an environment gave no answer for"),
        (IMPALA, "batch", "What was not saved is lost; go on with: crl resume run"),  # the main thread itself hangs
        (FAULTY, "full_parallel", "set the task's step_timeout_seconds, which is 3"),
    ],
)
def test_an_environment_that_hangs_ends_the_run(
    faults: None, start: Start, tmp_path: Path, run: list[str], runner: str, message: str
) -> None:
    directory = tmp_path / "run"
    process = started(start, directory, *run, "--experiment", "hanging", "--runner", runner)
    (tmp_path / "hang").touch()
    assert_one_message(process, "task 'catch'", message)
    assert status(directory)["state"] == "failed"
    assert message in (directory / "log.txt").read_text()
    if runner == "batch":  # what the others saved is as after any failure
        (tmp_path / "hang").unlink()
        assert_goes_on(start, directory)


def test_an_environment_that_hangs_in_an_evaluation_ends_the_run(faults: None, start: Start, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    settings = ["--continual-testing-freq", "5000", "--timesteps-per-save", "100000000"]
    process = started(start, directory, *FAULTY, "--experiment", "hanging", *settings)
    (tmp_path / "hang_evaluation").touch()
    assert_one_message(process, "task 'catch'", "evaluation step", "an environment gave no answer for")
    assert status(directory)["state"] == "failed"
    assert numbered(directory)[-1] == status(directory)["total_steps"] > 0  # it was saved first


@pytest.mark.parametrize(
    ("fault", "messages"),
    [
        ("break", ["task 'catch'", "ArithmeticError: the game is broken"]),
        ("raise", ["policy 'faulty'", "of task 'catch'", "KeyError: 'a slip of the author'", "checkpoint is good"]),
        ("nan", ["loss/total is nan at step", "of task 'catch'", "checkpoint is good"]),
    ],
)
def test_a_fault_is_told_and_the_run_goes_on_once_it_is_mended(
    faults: None, start: Start, tmp_path: Path, fault: str, messages: list[str]
) -> None:
    directory = tmp_path / "run"
    process = started(start, directory, *BREAKING)
    (tmp_path / fault).touch()
    assert_one_message(process, *messages)
    assert status(directory)["state"] == "failed"
    assert "Traceback" in (directory / "log.txt").read_text()
    (tmp_path / fault).unlink()
    assert_goes_on(start, directory)


def test_a_checkpoint_directory_that_cannot_be_written_ends_the_run(faults: None, start: Start, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    process = started(start, directory, *BREAKING)
    (directory / "checkpoints").rename(directory / "kept")
    (directory / "checkpoints").touch()
    assert_one_message(process, "the checkpoint run/checkpoints/", "cannot be written", "resume the run")
    (directory / "checkpoints").unlink()
    (directory / "kept").rename(directory / "checkpoints")
    assert_goes_on(start, directory)


def is_worker(process: psutil.Process) -> bool:
    try:
        return "multiprocessing.spawn" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # git, which says what commit a run is of, may have ended since it was listed
        return False


def worker_processes(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return [child for child in psutil.Process(process.pid).children() if is_worker(child)]


@pytest.mark.parametrize(("run", "runner"), [(FAULTY, "full_parallel"), (IMPALA, "pipelined")])
def test_ctrl_c_while_processes_start_is_quiet(
    faults: None, start: Start, tmp_path: Path, run: list[str], runner: str
) -> None:
    process = start(*run, "--experiment", "in_workers", "--runner", runner, "--no-initial-eval")
    wait_for(lambda: bool(worker_processes(process)), process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "")
    assert_no_process_is_left(process)


@pytest.mark.parametrize(("run", "runner"), [(FAULTY, "full_parallel"), (IMPALA, "pipelined")])
def test_no_process_that_hangs_outlives_a_killed_run(
    faults: None, start: Start, tmp_path: Path, run: list[str], runner: str
) -> None:
    process = started(start, tmp_path / "run", *run, "--experiment", "hanging_in_workers", "--runner", runner)
    (tmp_path / "hang").touch()
    process.kill()
    process.wait()
    assert_no_process_is_left(process)


def test_a_run_directory_that_is_deleted_ends_the_run(faults: None, start: Start, tmp_path: Path) -> None:
    process = started(start, tmp_path / "run", *BREAKING)
    (tmp_path / "run").rename(tmp_path / "doomed")
    shutil.rmtree(tmp_path / "doomed")
    assert_one_message(process, "cannot be written", "run")
    assert not (tmp_path / "run").exists()


LIMITED = """
import resource, sys

from crl_core.cli.main import main

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
main(sys.argv[2:])
"""


@pytest.mark.parametrize(
    ("settings", "limit", "message"),
    [
        (["--policy", "faulty"], 20_000, "the run directory run cannot be written: [Errno 27] File too large"),
        (["--policy", "clear", "--preset", "tutorial"], 700_000, "Writing the replay store in run/replay failed"),
    ],
)
def test_a_disk_that_takes_no_more_ends_the_run(
    faults: None, python: Crl, start: Start, tmp_path: Path, settings: list[str], limit: int, message: str
) -> None:
    """As on a full disk, nothing more can be written from some moment on: here, files may not grow any further."""
    result = python("-c", LIMITED, str(limit), *RUN, *settings, "--experiment", "tutorial", "--no-initial-eval")
    assert (result.returncode, len(re.findall("^Error: ", result.stderr, re.MULTILINE))) == (2, 1), result
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert numbered(tmp_path / "run")
    assert_goes_on(start, tmp_path / "run")


def test_a_live_run_is_not_resumed(crl: Crl, faults: None, start: Start, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    process = started(start, directory, *BREAKING)
    result = crl("resume", "run")
    assert result.returncode == 2
    assert f"Error: run is running: process {process.pid} on " in result.stderr
    assert process.poll() is None
    assert [path.name for path in (directory / "sessions").iterdir()] == ["0"]
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130


CLEAR = [
    *("run", "--policy", "clear", "--experiment", "tutorial", "--num-timesteps", "60", "--device", "cpu"),
    *("--continual-eval-num-returns", "2", "--num-actors", "2", "--batch-size", "2", "--unroll-length", "5"),
]


def as_if_it_had_failed(directory: Path) -> None:
    (directory / "status.json").write_text(json.dumps({**status(directory), "state": "failed"}))


def test_clear_does_not_go_on_without_its_own_replay(crl: Crl, tmp_path: Path) -> None:
    for name, settings in {"run": [], "shorter": ["--num-timesteps", "20"], "other": ["--seed", "7"]}.items():
        result = crl(*CLEAR, *settings, "--output-dir", name)
        assert result.returncode == 0, result.stderr
    directory = tmp_path / "run"
    as_if_it_had_failed(directory)
    (directory / "replay").rename(tmp_path / "own")

    def refused(message: str) -> None:
        result = crl("resume", "run")
        assert (result.returncode, message in result.stderr) == (2, True), result
        assert "Traceback" not in result.stderr

    refused("There is no replay store in run/replay")
    for another in ("shorter", "other"):  # the second has as many unrolls, of the same shapes
        shutil.copytree(tmp_path / another / "replay", directory / "replay")
        refused(f"The replay store in run/replay belongs to run {another}-")
        shutil.rmtree(directory / "replay")
    (tmp_path / "own").rename(directory / "replay")
    assert crl("resume", "run").returncode == 0
    assert status(directory)["state"] == "finished"


def test_the_checkpoint_before_a_damaged_one_serves(crl: Crl, tmp_path: Path) -> None:
    assert crl(*CLEAR, "--timesteps-per-save", "20", "--output-dir", "run").returncode == 0
    directory = tmp_path / "run"
    as_if_it_had_failed(directory)
    before, newest = numbered(directory)
    weights = directory / "checkpoints" / str(newest) / "policy.pt"
    weights.write_bytes(weights.read_bytes()[:100])
    result = crl("resume", "run")
    assert result.returncode == 0, result.stderr
    assert f"it is set aside as damaged-{newest}" in result.stdout
    assert f"resumed at step {before:,}" in result.stdout
    assert status(directory)["state"] == "finished"
