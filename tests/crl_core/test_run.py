"""Whole runs, in this process: what they log, what they leave behind, and how they end."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.crl_core.scripted import ScriptedTask
from tests.crl_core.small_runs import (
    GuessingPolicy,
    catch_experiment,
    make_plan,
    rows,
    run,
    scripted_task,
    status,
)

from crl_core.checkpoint import load_checkpoint
from crl_core.errors import EnvironmentFailure, ExperimentError, PluginError, RunDirectoryError, TrainingError
from crl_core.experiment import Experiment
from crl_core.policy import TimestepData, TrainingProgress
from crl_core.rollout import Rollout
from crl_core.runners.base import CollectedData
from crl_core.runners.batch import BatchRunner
from crl_core.stopping import Interrupted
from crl_core.task import Task


def two_scripted_tasks(**fields: Any) -> Experiment:
    return Experiment(tasks=(scripted_task("first"), scripted_task("second")), **fields)


def series(directory: Path, name: str) -> list[tuple[int, float]]:
    return [(row["step"], row["value"]) for row in rows(directory / "metrics.jsonl") if row["name"] == name]


def test_rows_are_what_one_reckons_by_hand(tmp_path: Path) -> None:
    run(make_plan(tmp_path / "run", two_scripted_tasks()))

    # of each 5 rows, the first environment's are valid 3, 2, 3 times and the second's 5, 5, 4 times
    found = {name: series(tmp_path / "run", name) for name in ("task_start", "task_end")}
    assert found == {"task_start": [(0, 0), (22, 1)], "task_end": [(22, 0), (44, 1)]}
    # 3 episodes of return 1; then 2 more and one of 10; then 3 more
    assert series(tmp_path / "run", "train_reward/0") == [(8, 1.0), (15, 2.5), (22, 2.0)]
    assert series(tmp_path / "run", "train_reward/1") == [(30, 1.0), (37, 2.5), (44, 2.0)]
    for task in (0, 1):
        assert series(tmp_path / "run", f"eval_reward/{task}") == [(0, 5.5), (22, 5.5), (44, 5.5)]
        assert series(tmp_path / "run", f"eval_length/{task}") == [(0, 5.5), (22, 5.5), (44, 5.5)]
    assert [step for step, _ in series(tmp_path / "run", "loss")] == [8, 15, 22, 30, 37, 44]


def test_rows_say_when_in_a_few_words(tmp_path: Path) -> None:
    run(make_plan(tmp_path / "run", two_scripted_tasks(cycle_count=2)))
    found = rows(tmp_path / "run" / "metrics.jsonl")
    assert all(list(row) == ["step", "cycle", "task", "name", "value"] for row in found)
    ends = [(row["cycle"], row["task"]) for row in found if row["name"] == "task_end"]
    assert ends == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_the_policy_is_told_of_tasks_and_of_its_progress(tmp_path: Path) -> None:
    made: list[GuessingPolicy] = []

    class Watched(GuessingPolicy):
        def build(self) -> None:
            super().build()
            made.append(self)

    run(make_plan(tmp_path / "run", two_scripted_tasks(), policy=Watched))

    (policy,) = made
    assert policy.calls == ["start first", "end first", "start second", "end second", "shutdown"]
    assert [(each.task, each.task_steps, each.total_steps) for each in policy.progress] == [
        (0, 0, 0),
        (0, 8, 8),
        (0, 15, 15),
        (1, 0, 22),
        (1, 8, 30),
        (1, 15, 37),
    ]
    assert {each.run_num_timesteps for each in policy.progress} == {40}


def test_the_same_seed_gives_the_same_file_and_another_seed_another(tmp_path: Path) -> None:
    def metrics(name: str, seed: int) -> bytes:
        run(make_plan(tmp_path / name, catch_experiment(continual_testing_freq=20), seed=seed))
        return (tmp_path / name / "metrics.jsonl").read_bytes()

    first = metrics("a", 1)
    assert metrics("b", 1) == first
    assert metrics("c", 2) != first


def test_what_is_left_behind(tmp_path: Path) -> None:
    plan = make_plan(tmp_path / "run", two_scripted_tasks(), seed=9, comment="why")
    printed = run(plan)

    directory = tmp_path / "run"
    names = {path.name for path in directory.iterdir()}
    events = {name for name in names if name.startswith("events.out.tfevents.")}
    assert len(events) == 1
    files = {"run.json", "status.json", "metrics.jsonl", "timing.jsonl", "log.txt"}
    assert names - events == files | {"checkpoints", "sessions"}
    record = json.loads((directory / "run.json").read_text())
    assert (record["run"]["seed"], record["run"]["comment"], record["run_id"]) == (9, "why", "small-run")
    assert {"policy", "experiment", "device", "plugins", "environment"} <= record.keys()
    ended = status(directory)
    assert (ended["state"], ended["reason"], ended["total_steps"]) == ("finished", "", 44)
    checkpoints = sorted(path.name for path in (directory / "checkpoints").iterdir())
    assert checkpoints == ["22", "44", "cycle0_task0", "cycle0_task1"]
    assert "Mean evaluation returns" in printed
    assert f"finished: {directory}" in printed.replace("\n", "")
    log = (directory / "log.txt").read_text()
    assert "INFO run directory: " in log
    assert "step 22: evaluation returns: first 5.5  second 5.5" in log
    names_of_timings = {row["name"] for row in rows(directory / "timing.jsonl")}
    assert {"evaluation_seconds", "train_seconds", "dropped_steps"} <= names_of_timings
    assert [each.name for each in threading.enumerate() if each.name.startswith("evaluation")] == []


def test_tensorboard_shows_the_same_figures(tmp_path: Path) -> None:
    run(make_plan(tmp_path / "run", two_scripted_tasks()))
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    for name in ("train_reward/0", "train_reward/1", "eval_reward/0", "eval_reward/1", "loss"):
        shown = [(each.step, pytest.approx(each.value)) for each in events.Scalars(name)]
        assert series(tmp_path / "run", name) == shown
    assert "timing/train_seconds" in events.Tags()["scalars"]


def test_checkpoints_hold_the_policy_and_where_the_logs_end(tmp_path: Path) -> None:
    run(make_plan(tmp_path / "run", two_scripted_tasks()))
    directory = tmp_path / "run"
    checkpoint = load_checkpoint(directory / "checkpoints" / "22")
    assert checkpoint.policy.keys() == {"network", "generator", "optimizer"}
    assert checkpoint.state["schedule"]["total_steps"] == 22
    for name, length in checkpoint.state["log_lengths"].items():
        assert (directory / name).stat().st_size >= length
        kept = (directory / name).read_bytes()[:length]
        assert kept.endswith(b"}\n") or "tfevents" in name
    metrics = (directory / "metrics.jsonl").read_bytes()[: checkpoint.state["log_lengths"]["metrics.jsonl"]]
    kept_rows = [json.loads(line) for line in metrics.splitlines()]
    assert kept_rows[-1] == {"step": 22, "cycle": 0, "task": 0, "name": "eval_length/1", "value": 5.5}
    events = {path.name for path in directory.glob("events.out.tfevents.*")}
    assert checkpoint.state["log_lengths"].keys() == {"metrics.jsonl", "timing.jsonl", *events}


def test_a_tasks_last_checkpoint_holds_weights_to_evaluate(tmp_path: Path) -> None:
    run(make_plan(tmp_path / "run", two_scripted_tasks()))
    at_end = load_checkpoint(tmp_path / "run" / "checkpoints" / "cycle0_task1")
    resumable = load_checkpoint(tmp_path / "run" / "checkpoints" / "44")
    assert at_end.policy.keys() == {"network"}
    assert at_end.policy["network"].keys() == resumable.policy["network"].keys()
    for name, value in at_end.policy["network"].items():
        assert torch.equal(value, resumable.policy["network"][name])


def test_checkpoints_are_written_between_evaluations_too(tmp_path: Path) -> None:
    saved: list[str] = []

    class Listing(GuessingPolicy):
        def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
            names = [path.name for path in (self.workspace.directory / "checkpoints").iterdir()]
            saved.append(max((name for name in names if name.isdigit()), key=int))
            return super().train(rollouts, progress=progress)

    run(make_plan(tmp_path / "run", two_scripted_tasks(), policy=Listing, timesteps_per_save=10))
    assert saved == ["0", "0", "15", "22", "22", "37"]


def test_no_initial_evaluation(tmp_path: Path) -> None:
    run(make_plan(tmp_path / "run", two_scripted_tasks(), no_initial_eval=True))
    assert [step for step, _ in series(tmp_path / "run", "eval_reward/0")] == [22, 44]


class BreakingTask(ScriptedTask):
    """Breaks in evaluation or, once enough environments were made, in training."""

    type: Literal["breaking"] = "breaking"  # type: ignore[assignment]  # a type of its own
    breaks_in: Literal["evaluation", "training"]

    def make_envs(self, num_envs: int, *, seeds: Any, evaluation: bool) -> Any:
        envs = super().make_envs(num_envs, seeds=seeds, evaluation=evaluation)
        if evaluation == (self.breaks_in == "evaluation"):
            step, count = envs.step, 0

            def break_down(actions: Any) -> Any:
                nonlocal count
                count += 1
                if count > 7:
                    raise ValueError("the joystick broke")
                return step(actions)

            envs.step = break_down  # type: ignore[method-assign]
        return envs


def breaking(where: Literal["evaluation", "training"]) -> Experiment:
    task = scripted_task("fragile")
    return Experiment(tasks=(BreakingTask(**task.model_dump(exclude={"type"}), breaks_in=where),))


def test_the_first_checkpoint_is_there_before_the_first_evaluation(tmp_path: Path) -> None:
    with pytest.raises(
        EnvironmentFailure, match=r"task 'fragile' .*, evaluation step 8: an environment raised in step"
    ):
        run(make_plan(tmp_path / "run", breaking("evaluation")))
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["0"]
    state = load_checkpoint(tmp_path / "run" / "checkpoints" / "0").state
    assert state["schedule"]["evaluations"] == 0
    (start,) = rows(tmp_path / "run" / "metrics.jsonl")
    assert start["name"] == "task_start"
    assert state["log_lengths"]["metrics.jsonl"] == (tmp_path / "run" / "metrics.jsonl").stat().st_size


def test_an_environments_failure_loses_no_training(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure):
        run(make_plan(tmp_path / "run", breaking("training"), timesteps_per_save=1000))
    checkpoints = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert checkpoints == ["0", "8"]  # the first 5 rows were learned from, the next 5 never came
    ended = status(tmp_path / "run")
    assert (ended["state"], ended["total_steps"]) == ("failed", 8)
    assert ended["reason"].startswith("EnvironmentFailure: task 'fragile'")
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "in break_down" in log  # where it was raised
    assert "ValueError: the joystick broke" in log


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_that_is_no_number_ends_the_run(tmp_path: Path, value: float) -> None:
    class Diverging(GuessingPolicy):
        def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
            return {"loss/total": value if progress.total_steps >= 22 else 1.0}

    with pytest.raises(TrainingError, match=rf"^loss/total is {value} at step 30 of task 'second'"):
        run(make_plan(tmp_path / "run", two_scripted_tasks(), policy=Diverging))
    ended = status(tmp_path / "run")
    assert (ended["state"], ended["reason"][:14]) == ("failed", "TrainingError:")
    assert "NaN" not in (tmp_path / "run" / "metrics.jsonl").read_text()
    numbered = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir() if path.name.isdigit()}
    assert numbered == {"0", "22"}


def test_a_fault_of_the_policy_is_told_and_recorded_and_everything_is_closed(tmp_path: Path) -> None:
    calls: list[list[str]] = []

    class Faulty(GuessingPolicy):
        def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
            calls.append(self.calls)
            raise ZeroDivisionError("oh")

    before = threading.enumerate()
    message = r"policy 'guessing' \(tests 0\) raised in train\(\) at step 0 of task 'first': ZeroDivisionError: oh\. "
    with pytest.raises(TrainingError, match=message):
        run(make_plan(tmp_path / "run", two_scripted_tasks(), policy=Faulty))
    assert calls[0][-1] == "shutdown"
    assert "ZeroDivisionError: oh" in status(tmp_path / "run")["reason"]
    assert 'raise ZeroDivisionError("oh")' in (tmp_path / "run" / "log.txt").read_text()
    assert set(threading.enumerate()) <= set(before)


def test_a_policy_that_raises_elsewhere_is_told_too(tmp_path: Path) -> None:
    class FaultyBuild(GuessingPolicy):
        def build(self) -> None:
            raise KeyError("layers")

    class FaultyStart(GuessingPolicy):
        def on_task_start(self, task: Task) -> None:
            raise OverflowError("too many tasks")

    class FaultyAction(GuessingPolicy):
        def compute_action(self, *arguments: Any, **options: Any) -> TimestepData:
            raise IndexError("no such action")

    with pytest.raises(PluginError, match=r"policy 'guessing' \(tests 0\) cannot be made: KeyError: 'layers'"):
        run(make_plan(tmp_path / "build", two_scripted_tasks(), policy=FaultyBuild))
    assert not (tmp_path / "build").exists()
    with pytest.raises(TrainingError, match=r"raised in on_task_start\(\) at step 0 of task 'first': OverflowError"):
        run(make_plan(tmp_path / "start", two_scripted_tasks(), policy=FaultyStart))
    message = "step 1: compute_action of FaultyAction of tests raised IndexError: no such action"
    with pytest.raises(PluginError, match=message):
        run(make_plan(tmp_path / "action", two_scripted_tasks(), policy=FaultyAction))
    assert status(tmp_path / "action")["state"] == "failed"


def test_a_runner_that_raises_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: BatchRunner) -> CollectedData:
        raise MemoryError("no room for so many environments")

    monkeypatch.setattr(BatchRunner, "collect_data", fail)
    plan = make_plan(tmp_path / "run", two_scripted_tasks(), no_initial_eval=True)
    with pytest.raises(
        TrainingError, match=r"runner .*BatchRunner.* raised in collect_data\(\) at step 0 of task 'first'"
    ):
        run(plan)
    again = make_plan(tmp_path / "again", two_scripted_tasks())
    with pytest.raises(TrainingError, match="raised in an evaluation at step 0 of task 'first': MemoryError: no room"):
        run(again)


def test_metrics_that_are_no_numbers_are_told(tmp_path: Path) -> None:
    class Telling(GuessingPolicy):
        def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
            return {"loss": None}  # type: ignore[dict-item]  # that is the fault

    with pytest.raises(TrainingError, match=r"in train\(\), whose metrics should be numbers, at step 8 .*TypeError"):
        run(make_plan(tmp_path / "run", two_scripted_tasks(), policy=Telling))


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    class Diverging(GuessingPolicy):
        def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
            with torch.no_grad():
                self.network.bias.fill_(torch.inf)
            return {}

    message = r"network\.bias of the policy has values that are no finite numbers at step 22 of task 'first'"
    with pytest.raises(TrainingError, match=message):
        run(make_plan(tmp_path / "run", two_scripted_tasks(), policy=Diverging))
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["0"]


def interrupting(at: Callable[[TrainingProgress], bool], *, times: int = 1) -> type[GuessingPolicy]:
    class Interrupting(GuessingPolicy):
        def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
            if at(progress):
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)
            return super().train(rollouts, progress=progress)

    return Interrupting


def test_a_request_to_end_saves_first(tmp_path: Path) -> None:
    policy = interrupting(lambda progress: progress.total_steps == 22)
    with pytest.raises(Interrupted, match="SIGINT"):
        run(make_plan(tmp_path / "run", two_scripted_tasks(), policy=policy, timesteps_per_save=1000))
    ended = status(tmp_path / "run")
    assert (ended["state"], ended["reason"], ended["total_steps"]) == ("interrupted", "SIGINT", 30)
    state = load_checkpoint(tmp_path / "run" / "checkpoints" / "30").state
    assert (state["schedule"]["total_steps"], state["schedule"]["task_steps"]) == (30, 8)
    assert state["log_lengths"]["metrics.jsonl"] == (tmp_path / "run" / "metrics.jsonl").stat().st_size
    assert "interrupted at step 30; the run was saved" in (tmp_path / "run" / "log.txt").read_text()


def test_a_request_in_the_midst_of_an_evaluation_saves_what_was_before_it(tmp_path: Path) -> None:
    class InterruptedInEvaluation(GuessingPolicy):
        def acting_copy(self, *, seed: int) -> Any:
            if self.progress and "asked" not in self.calls:  # once, and not in the first evaluation
                self.calls.append("asked")
                signal.raise_signal(signal.SIGINT)
            return super().acting_copy(seed=seed)

    with pytest.raises(Interrupted):
        run(make_plan(tmp_path / "run", two_scripted_tasks(), policy=InterruptedInEvaluation))
    state = load_checkpoint(tmp_path / "run" / "checkpoints" / "22").state
    assert (state["schedule"]["evaluations"], state["schedule"]["evaluated_at"]) == (1, 0)
    assert [step for step, _ in series(tmp_path / "run", "eval_reward/0")] == [0]


def test_a_second_ctrl_c_is_immediate_and_is_no_failure(tmp_path: Path) -> None:
    policy = interrupting(lambda progress: progress.total_steps == 22, times=2)
    with pytest.raises(KeyboardInterrupt):
        run(make_plan(tmp_path / "run", two_scripted_tasks(), policy=policy))
    ended = status(tmp_path / "run")
    assert (ended["state"], ended["total_steps"]) == ("interrupted", 22)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_policy_that_cannot_play_the_experiment_leaves_no_directory(tmp_path: Path) -> None:
    class Picky(GuessingPolicy):
        def build(self) -> None:
            raise ExperimentError("give me other actions")

    with pytest.raises(ExperimentError, match="give me other actions"):
        run(make_plan(tmp_path / "run", two_scripted_tasks(), policy=Picky))
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_was_taken_since_it_was_planned_is_left_alone(tmp_path: Path) -> None:
    run(make_plan(tmp_path / "run", two_scripted_tasks()))
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    with pytest.raises(RunDirectoryError, match="holds another run already"):
        run(make_plan(tmp_path / "run", two_scripted_tasks()))
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before
    assert status(tmp_path / "run")["state"] == "finished"


def test_a_full_disk_is_one_message_and_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullAfter(GuessingPolicy):
        def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
            if progress.total_steps == 22:
                monkeypatch.setattr(torch, "save", fail)
            return super().train(rollouts, progress=progress)

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(RunDirectoryError, match="No space left on device"):
        run(make_plan(tmp_path / "run", two_scripted_tasks(), policy=FullAfter, timesteps_per_save=8))
    assert status(tmp_path / "run")["state"] == "failed"
    newest = max((path.name for path in (tmp_path / "run" / "checkpoints").iterdir() if path.name.isdigit()), key=int)
    assert newest == "22"
    load_checkpoint(tmp_path / "run" / "checkpoints" / newest)


def test_only_the_trained_tasks_are_trained_and_only_the_evaluated_ones_evaluated(tmp_path: Path) -> None:
    experiment = Experiment(
        tasks=(
            scripted_task("held_out", eval_mode=True),
            scripted_task("trained"),
            scripted_task("hidden", continual_eval=False),
        )
    )
    run(make_plan(tmp_path / "run", experiment))
    names = {row["name"] for row in rows(tmp_path / "run" / "metrics.jsonl")}
    assert {"eval_reward/0", "eval_reward/1", "train_reward/1", "train_reward/2"} <= names
    assert not {"train_reward/0", "eval_reward/2"} & names
    assert series(tmp_path / "run", "task_start") == [(0, 1), (22, 2)]


def test_a_long_collection_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Looking(GuessingPolicy):
        def train(self, rollouts: Sequence[Rollout], *, progress: TrainingProgress) -> Mapping[str, float]:
            if not self.progress:
                seen.append(status(self.workspace.directory))
            return super().train(rollouts, progress=progress)

    seen: list[dict[str, Any]] = []
    monkeypatch.setattr("crl_core.run_directory._HEARTBEAT_SECONDS", 0.0)
    experiment = Experiment(tasks=(scripted_task(),))
    run(make_plan(tmp_path / "run", experiment, policy=Looking, no_initial_eval=True))
    assert seen[0]["total_steps"] == 0  # nothing but the first collection can have written it
