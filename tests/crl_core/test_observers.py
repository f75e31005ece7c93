"""What watches a run: files of rows, TensorBoard, lines of progress, the summary at the end."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.crl_core.small_runs import rows, scripted_task

from crl_core.evaluation import EvaluationProgress
from crl_core.experiment import Experiment
from crl_core.observers import progress as progress_module
from crl_core.observers.base import Moment, Observer, Observers
from crl_core.observers.jsonl import JsonlObserver
from crl_core.observers.progress import ProgressObserver
from crl_core.observers.summary import ReturnsSummary
from crl_core.observers.tensorboard import TensorBoardObserver
from crl_core.policy import TrainingProgress
from crl_core.runners.base import Episode
from crl_core.schedule import Visit

EXPERIMENT = Experiment(
    tasks=(
        scripted_task("pong", num_timesteps=1000),
        scripted_task("hidden", continual_eval=False),
        scripted_task("tetris"),
    ),
    cycle_count=2,
)
AT = Moment(step=30, cycle=1, task=2)
EPISODES = [Episode(0, 3.0, 5), Episode(1, 6.0, 7)]
PROGRESS = TrainingProgress(
    cycle=1, task=0, task_steps=400, task_num_timesteps=1000, total_steps=1400, run_num_timesteps=2080
)


def visit(*, is_new: bool) -> Visit:
    return Visit(cycle=1, index=2, task=EXPERIMENT.tasks[2], is_new=is_new)


def test_rows_say_when_and_what(tmp_path: Path) -> None:
    observer = JsonlObserver(tmp_path)
    observer.task_started(visit(is_new=True), AT)
    observer.metrics(AT, {"loss": 0.5, "eval_reward/0": -1.0})
    observer.timings(AT, {"policy_lag": 2.0})
    observer.task_ended(visit(is_new=True), AT)
    observer.close()
    observer.close()
    when = {"step": 30, "cycle": 1, "task": 2}
    assert rows(tmp_path / "metrics.jsonl") == [
        {**when, "name": "task_start", "value": 2},
        {**when, "name": "loss", "value": 0.5},
        {**when, "name": "eval_reward/0", "value": -1.0},
        {**when, "name": "task_end", "value": 2},
    ]
    assert rows(tmp_path / "timing.jsonl") == [{**when, "name": "policy_lag", "value": 2.0}]


def test_a_resumed_task_did_not_start_again(tmp_path: Path) -> None:
    observer = JsonlObserver(tmp_path)
    observer.task_started(visit(is_new=False), AT)
    observer.close()
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_rows_are_there_for_whoever_follows_and_their_length_is_known(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"from": "before"}\n')
    observer = JsonlObserver(tmp_path)
    observer.metrics(AT, {"loss": 0.5})
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2
    lengths = observer.flush()
    assert lengths == {name: (tmp_path / name).stat().st_size for name in ("metrics.jsonl", "timing.jsonl")}
    observer.close()


def scalars(directory: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(directory)).Reload()
    return {tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_has_the_same_figures_on_one_axis(tmp_path: Path) -> None:
    observer = TensorBoardObserver(tmp_path)
    observer.metrics(Moment(10, 0, 0), {"eval_reward/1": 1.5})
    observer.metrics(Moment(20, 0, 1), {"eval_reward/1": 2.5})
    observer.timings(Moment(20, 0, 1), {"policy_lag": 3.0})
    (length,) = observer.flush().values()
    observer.close()
    assert length == next(tmp_path.iterdir()).stat().st_size
    assert scalars(tmp_path) == {"eval_reward/1": [(10, 1.5), (20, 2.5)], "timing/policy_lag": [(20, 3.0)]}


def test_tensorboard_forgets_what_was_logged_after_the_checkpoint_a_run_resumes_from(tmp_path: Path) -> None:
    observer = TensorBoardObserver(tmp_path)
    lengths = [observer.flush()]
    for step in (10, 20, 30):
        observer.metrics(Moment(step, 0, 0), {"loss": 1.0})
        lengths.append(observer.flush())
    observer.close()
    for cut_to, step, expected in (
        (lengths[2], 20, [(10, 1.0), (20, 1.0), (20, 2.0), (25, 2.0)]),  # after the checkpoint, at the same step
        (lengths[1], 10, [(10, 1.0), (20, 2.0), (25, 2.0)]),  # nothing is left of the session before
        ({}, -1, [(20, 2.0), (25, 2.0)]),
    ):
        again = TensorBoardObserver(tmp_path, cut_to=cut_to, purge_after=step)
        again.metrics(Moment(20, 0, 0), {"loss": 2.0})
        again.metrics(Moment(25, 0, 0), {"loss": 2.0})
        files = again.flush()
        again.close()
        assert files == {path.name: path.stat().st_size for path in tmp_path.iterdir()}
        assert scalars(tmp_path)["loss"] == expected


def plain(experiment: Experiment = EXPERIMENT) -> tuple[ProgressObserver, io.StringIO]:
    text = io.StringIO()
    return ProgressObserver(Console(file=text, width=200), experiment), text


def test_progress_is_plain_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now)
    observer, text = plain()
    observer.collected(PROGRESS, EPISODES)
    assert text.getvalue() == "cycle 2/2  task 1/3 pong  400/1,000 steps  last return 6\n"
    now += 1
    observer.collected(PROGRESS, [])
    assert len(text.getvalue().splitlines()) == 1  # not every second
    now += 9
    later = TrainingProgress(
        cycle=1, task=0, task_steps=800, task_num_timesteps=1000, total_steps=1800, run_num_timesteps=2080
    )
    observer.collected(later, [])
    last = "cycle 2/2  task 1/3 pong  800/1,000 steps  40 steps/s  ETA 0:00:07  last return 6"
    assert text.getvalue().splitlines()[1] == last


def test_time_spent_evaluating_does_not_count_as_slow_training(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now)
    observer, text = plain()
    observer.collected(PROGRESS, [])
    now += 20
    observer.evaluated(AT, {0: EPISODES})
    observer.collected(PROGRESS, [])
    assert "steps/s" not in text.getvalue()


def test_a_new_task_forgets_the_last_return() -> None:
    observer, text = plain()
    observer.collected(PROGRESS, EPISODES)
    observer.task_started(visit(is_new=True), AT)
    observer.collected(PROGRESS, [])
    assert ["last return" in line for line in text.getvalue().splitlines()] == [True, False]


def test_evaluation_counts_the_tasks_that_are_evaluated(caplog: pytest.LogCaptureFixture) -> None:
    observer, text = plain()
    observer.evaluation_progress(EvaluationProgress(episodes=3, num_episodes=20, steps=12345))
    assert text.getvalue() == "evaluating 2 tasks: 3/20 episodes, 12,345 steps\n"
    with caplog.at_level(logging.INFO):
        observer.evaluated(AT, {0: EPISODES, 2: EPISODES[:1]})
    assert caplog.messages == ["step 30: evaluation returns: pong 4.5  tetris 3.0"]


def test_on_a_terminal_there_is_one_bar_and_it_goes_away() -> None:
    text = io.StringIO()
    observer = ProgressObserver(Console(file=text, width=200, force_terminal=True), EXPERIMENT)
    observer.collected(PROGRESS, EPISODES)
    observer.evaluation_progress(EvaluationProgress(episodes=0, num_episodes=0, steps=0))  # nothing to evaluate
    observer.collected(PROGRESS, EPISODES)
    observer.close()
    observer.close()
    assert "400/1,000 steps" in text.getvalue()
    assert text.getvalue().count("\x1b[?25h") == 1  # the cursor is back


def test_the_summary_shows_the_first_and_the_latest_evaluation() -> None:
    summary = ReturnsSummary(EXPERIMENT)
    for step, episodes in ((0, EPISODES[:1]), (500, EPISODES), (1000, EPISODES[1:])):
        summary.evaluated(Moment(step, 0, 0), {0: episodes, 2: episodes})
    console = Console(file=io.StringIO(), width=100)
    console.print(summary.table())
    assert isinstance(console.file, io.StringIO)
    table = console.file.getvalue()
    assert "step 0" in table
    assert "step 1,000" in table
    assert "step 500" not in table
    (pong,) = [line for line in table.splitlines() if "pong" in line]
    assert "3.00" in pong
    assert "6.00" in pong
    assert "hidden" not in table


def test_a_run_without_evaluations_has_a_summary_too() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(ReturnsSummary(EXPERIMENT).table())


def test_several_observers_are_told_in_order_and_as_one() -> None:
    told: list[str] = []

    class Telling(Observer):
        def __init__(self, name: str) -> None:
            self.name = name

        def __getattribute__(self, attribute: str) -> object:
            if not attribute.startswith("_") and attribute != "name":
                told.append(f"{self.name} {attribute}")
            return super().__getattribute__(attribute)

        def flush(self) -> dict[str, int]:
            return {self.name: 1}

    both = Observers([Telling("a"), Telling("b")])
    both.task_started(visit(is_new=True), AT)
    both.collected(PROGRESS, EPISODES)
    both.metrics(AT, {})
    both.timings(AT, {})
    both.evaluation_progress(EvaluationProgress(0, 1, 0))
    both.evaluated(AT, {})
    both.filmed(AT, Path("film.gif"))
    both.task_ended(visit(is_new=True), AT)
    assert both.flush() == {"a": 1, "b": 1}
    both.close()
    public = [name for name in vars(Observer) if not name.startswith("_")]
    assert sorted(told) == sorted(f"{each} {name}" for each in "ab" for name in public)
    assert [line[0] for line in told] == ["a", "b"] * len(public)


def test_rows_are_strict_json(tmp_path: Path) -> None:
    observer = JsonlObserver(tmp_path)
    observer.metrics(AT, {"tiny": 1e-300, "whole": 3})
    observer.close()

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    values = [
        json.loads(line, parse_constant=refuse)["value"]
        for line in (tmp_path / "metrics.jsonl").read_text().splitlines()
    ]
    assert values == [1e-300, 3]


def test_a_length_after_a_cut_is_that_of_the_file(tmp_path: Path) -> None:
    observer = JsonlObserver(tmp_path)
    observer.metrics(AT, {"loss": 0.5})
    kept = observer.flush()
    observer.metrics(AT, {"loss": 0.25})
    observer.close()
    again = JsonlObserver(tmp_path, cut_to=kept)
    assert again.flush() == kept  # also before anything is logged anew
    again.close()
    assert [row["value"] for row in rows(tmp_path / "metrics.jsonl")] == [0.5]
