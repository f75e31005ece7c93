"""Resuming: a run goes on from its newest checkpoint as if nothing had been logged after it."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.crl_core.small_runs import GuessingPolicy, make_plan, rows, run, scripted_task, status

from crl_core.checkpoint import resumable_checkpoints
from crl_core.errors import CheckpointError, ConfigError, RunDirectoryError, UnknownNameError
from crl_core.experiment import Experiment
from crl_core.launch import launch
from crl_core.logs import RunLog
from crl_core.plan import RunPlan, plan_run
from crl_core.policy import TrainingProgress
from crl_core.resolve import resolve
from crl_core.resume import read_run
from crl_core.rollout import Rollout
from crl_core.sessions import begin_session

SAVE_EVERY = {"timesteps_per_save": 10}


def two_tasks() -> Experiment:
    return Experiment(tasks=(scripted_task("first", num_timesteps=40), scripted_task("second", num_timesteps=40)))


def killed_at(directory: Path, update: int, **settings: Any) -> RunPlan:
    """Run to the end, keeping what a kill in the midst of an update would have left; return the plan of that."""
    left = directory / "killed"

    class Killed(GuessingPolicy):
        def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
            if len(self.progress) == update:
                shutil.copytree(self.workspace.directory, left)
            return super().train(rollouts, progress=progress)

    plan = make_plan(directory / "whole", two_tasks(), policy=Killed, **{**SAVE_EVERY, **settings})
    run(plan)
    write_status(left, pid=2**22 + 1)  # no process has such a number
    return dataclasses.replace(plan, directory=left, policy_class=GuessingPolicy)


def write_status(directory: Path, **changes: Any) -> None:
    (directory / "status.json").write_text(json.dumps({**status(directory), **changes}))


def resume(plan: RunPlan) -> str:
    console = Console(file=io.StringIO(), width=200)
    with RunLog(console) as log:
        launch(plan, console, log, resume=True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def logged(directory: Path, *names: str) -> list[tuple[int, str, float]]:
    found = rows(directory / "metrics.jsonl")
    return [(row["step"], row["name"], row["value"]) for row in found if row["name"] in names]


@pytest.mark.parametrize("update", [0, 3, 5, 8])
def test_a_killed_run_goes_on_and_logs_everything_once(tmp_path: Path, update: int) -> None:
    plan = killed_at(tmp_path, update)
    printed = resume(plan)

    assert "resumed at step" in printed
    assert "step 0 " in printed  # the table of returns begins where the run did
    assert status(plan.directory)["state"] == "finished"
    marks = [row[1:] for row in logged(plan.directory, "task_start", "task_end")]
    assert marks == [("task_start", 0), ("task_end", 0), ("task_start", 1), ("task_end", 1)]
    steps = [row["step"] for row in rows(plan.directory / "metrics.jsonl")]
    assert steps == sorted(steps)
    evaluations = logged(plan.directory, "eval_reward/0")
    assert len(evaluations) == 3  # at the start and at each task's end
    assert len({step for step, _, _ in evaluations}) == 3
    losses = [step for step, _, _ in logged(plan.directory, "loss")]
    assert len(losses) == len(set(losses))


def test_what_was_logged_after_the_checkpoint_is_cut_off(tmp_path: Path) -> None:
    plan = killed_at(tmp_path, 3)
    at = int(resumable_checkpoints(plan.directory / "checkpoints")[0].name)
    before = rows(plan.directory / "metrics.jsonl")
    assert max(row["step"] for row in before) > at
    resume(plan)
    kept = [row for row in before if row["step"] <= at]
    assert rows(plan.directory / "metrics.jsonl")[: len(kept)] == kept


def test_two_resumes_from_one_checkpoint_are_identical(tmp_path: Path) -> None:
    plan = killed_at(tmp_path, 3)
    again = dataclasses.replace(plan, directory=tmp_path / "again")
    shutil.copytree(plan.directory, again.directory)
    resume(plan)
    resume(again)
    assert (plan.directory / "metrics.jsonl").read_bytes() == (again.directory / "metrics.jsonl").read_bytes()


def test_tensorboard_shows_one_curve(tmp_path: Path) -> None:
    plan = killed_at(tmp_path, 3)
    resume(plan)
    events = EventAccumulator(str(plan.directory), size_guidance={"scalars": 0}).Reload()
    curve = {event.step: event.value for event in events.Scalars("loss")}
    losses = {step: value for step, _, value in logged(plan.directory, "loss")}
    assert list(curve) == list(losses)
    assert curve == pytest.approx(losses)


def test_a_run_killed_before_its_first_checkpoint_begins_anew(tmp_path: Path) -> None:
    plan = killed_at(tmp_path, 3)
    shutil.rmtree(plan.directory / "checkpoints")
    (plan.directory / "checkpoints").mkdir()
    metrics = plan.directory / "metrics.jsonl"
    metrics.write_text(metrics.read_text().partition("\n")[0] + "\n")  # before it, only a task's start is logged
    resume(plan)
    whole = tmp_path / "whole" / "metrics.jsonl"
    assert (plan.directory / "metrics.jsonl").read_bytes() == whole.read_bytes()


def test_a_damaged_checkpoint_is_set_aside(tmp_path: Path) -> None:
    plan = killed_at(tmp_path, 5)
    newest, before = resumable_checkpoints(plan.directory / "checkpoints")
    (newest / "policy.pt").write_bytes((newest / "policy.pt").read_bytes()[:100])
    printed = resume(plan)
    assert f"{newest} cannot be read" in printed
    assert f"resumed at step {before.name}" in printed
    assert (newest.parent / f"damaged-{newest.name}").is_dir()


def test_nothing_goes_on_when_every_checkpoint_is_damaged(tmp_path: Path) -> None:
    plan = killed_at(tmp_path, 5)
    for path in resumable_checkpoints(plan.directory / "checkpoints"):
        (path / "state.json").write_text("{")
    logged_before = (plan.directory / "metrics.jsonl").read_bytes()
    for _ in range(2):  # the second time all that could be read is set aside
        with pytest.raises(CheckpointError, match="none of its checkpoints can be read"):
            resume(plan)
    shutil.rmtree(plan.directory / "checkpoints")
    with pytest.raises(CheckpointError, match="none of its checkpoints can be read"):
        resume(plan)
    assert (plan.directory / "metrics.jsonl").read_bytes() == logged_before
    assert status(plan.directory)["state"] == "running"  # untouched
    assert [path.name for path in (plan.directory / "sessions").iterdir()] == ["0"]


def test_a_live_run_is_refused(tmp_path: Path) -> None:
    plan = killed_at(tmp_path, 3)
    write_status(plan.directory, pid=os.getpid())
    with pytest.raises(RunDirectoryError, match=rf"is running: process {os.getpid()} on .* Stop that one first"):
        resume(plan)


def test_a_silent_run_on_another_host_is_taken_over_and_a_lively_one_is_not(tmp_path: Path) -> None:
    plan = killed_at(tmp_path, 3)
    write_status(plan.directory, host="elsewhere")
    with pytest.raises(RunDirectoryError, match="on elsewhere"):
        resume(plan)
    os.utime(plan.directory / "status.json", (1e9, 1e9))
    resume(plan)
    assert status(plan.directory)["state"] == "finished"


def test_of_two_processes_that_resume_at_once_one_is_refused(tmp_path: Path) -> None:
    plan = killed_at(tmp_path, 3)
    with begin_session(plan.directory) as session:
        assert session == 1
        with pytest.raises(RunDirectoryError, match="was begun or resumed by another process"):
            resume(plan)
    resume(plan)  # the one that gave no sign of life has given its session back


def recorded_run(tmp_path: Path) -> Path:
    resolved = resolve(
        {
            "policy": "random",
            "experiment": "tutorial",
            "num_timesteps": 50,
            "continual_eval_num_returns": 1,
            "output_dir": str(tmp_path / "run"),
        }
    )
    plan = plan_run(resolved.run, resolved.policy)
    run(plan)
    return plan.directory


def test_the_plan_is_the_recorded_one(tmp_path: Path) -> None:
    directory = recorded_run(tmp_path)
    moved = directory.rename(tmp_path / "moved")
    recorded = read_run(moved)
    assert recorded.changes == ()
    assert (recorded.plan.directory, recorded.plan.policy.spec.name) == (moved, "random")
    assert [task.num_timesteps for task in recorded.plan.experiment.tasks] == [50, 50]
    again, before = recorded.plan.record(), json.loads((moved / "run.json").read_text())
    assert {**again, "environment": 0} == {**before, "environment": 0}


def test_what_changed_since_is_told(tmp_path: Path) -> None:
    directory = recorded_run(tmp_path)
    record = json.loads((directory / "run.json").read_text())
    record["plugins"]["crl-core"] = "0.0.1"
    record["plugins"]["crl-gone"] = "1.0"
    record["environment"]["torch"] = "1.7"
    (directory / "run.json").write_text(json.dumps(record))
    changes = "\n".join(read_run(directory).changes)
    assert "crl-core was 0.0.1 and is 0.1.0" in changes
    assert "crl-gone was 1.0 and is not there" in changes
    assert "torch was 1.7 and is " in changes


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="is no directory"):
        read_run(tmp_path / "absent")
    with pytest.raises(RunDirectoryError, match=r"holds no run\.json"):
        read_run(tmp_path)
    for text in ("{", "[]", "{}", '{"policy": 3}'):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(RunDirectoryError, match=r"run\.json"):
            read_run(tmp_path)


def test_a_policy_that_is_gone_or_takes_other_settings_now_is_told(tmp_path: Path) -> None:
    directory = recorded_run(tmp_path)
    record = json.loads((directory / "run.json").read_text())
    record["policy"]["settings"]["laziness"] = 1
    (directory / "run.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match=r"were recorded with crl-core 0\.1\.0 and do not fit"):
        read_run(directory)
    record["policy"]["distribution"] = "crl-policies-gone"
    (directory / "run.json").write_text(json.dumps(record))
    with pytest.raises(UnknownNameError, match="crl-policies-gone/random"):
        read_run(directory)


def test_a_policy_that_does_not_take_its_state_is_told_and_the_run_left_as_it_was(tmp_path: Path) -> None:
    plan = killed_at(tmp_path, 3)

    class Changed(GuessingPolicy):
        def load_state_dict(self, state: Mapping[str, Any]) -> None:
            super().load_state_dict({"network": {}})

    before = status(plan.directory)
    with pytest.raises(CheckpointError, match=r"Changed cannot go on from the checkpoint .*: RuntimeError: "):
        resume(dataclasses.replace(plan, policy_class=Changed))
    assert status(plan.directory) == before
    resume(plan)


def test_a_record_that_lacks_something_is_told(tmp_path: Path) -> None:
    directory = recorded_run(tmp_path)
    record = json.loads((directory / "run.json").read_text())
    del record["policy"]["version"]
    for lacking in ({**record}, {name: value for name, value in record.items() if name != "run_id"}):
        (directory / "run.json").write_text(json.dumps(lacking))
        with pytest.raises(RunDirectoryError, match="not the record of a run that this version reads"):
            read_run(directory)
