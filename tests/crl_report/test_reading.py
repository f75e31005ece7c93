"""Run directories, whole and damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crl_report.reading import ReportError, find_runs, read_run, read_runs
from crl_report.records import Visit

A = {0: 0.0, 10: 5.0, 20: 10.0, 30: 6.0, 40: 4.0}


def test_a_run_is_read_whole(make_run: Any) -> None:
    run = read_run(make_run("0", {0: A, 1: {0: 1.0}}, seed=3))
    assert (run.policy, run.seed, run.experiment, run.finished) == ("clear", 3, "two_tasks", True)
    assert run.visits == (Visit(0, 0, 0, 20), Visit(0, 1, 20, 40))
    assert run.evaluations[0].steps.tolist() == [0, 10, 20, 30, 40]
    assert run.evaluations[0].values.tolist() == [0, 5, 10, 6, 4]
    assert run.evaluations[1].values.tolist() == [1]
    assert run.notes == ()


def test_half_a_row_at_the_end_is_left_out_and_told(make_run: Any) -> None:
    directory = make_run("0", {0: A})
    with (directory / "metrics.jsonl").open("a") as file:
        file.write('{"step": 50, "cycle": 0, "name": "eval_reward/0", "val')
    run = read_run(directory)
    assert run.evaluations[0].steps.tolist() == [0, 10, 20, 30, 40]
    assert run.notes == (f"{directory / 'metrics.jsonl'}: its last row is incomplete and was left out",)


def test_a_damaged_row_in_the_middle_is_named(make_run: Any) -> None:
    metrics = make_run("0", {0: A}) / "metrics.jsonl"
    lines = metrics.read_text().splitlines()
    lines[2] = lines[2][:40]
    metrics.write_text("\n".join([*lines, ""]))
    with pytest.raises(ReportError, match="line 3 is damaged"):
        read_run(metrics.parent)


def test_a_return_that_is_no_number_is_refused_with_its_step(make_run: Any) -> None:
    directory = make_run("0", {0: {**A, 30: float("nan")}})
    with pytest.raises(ReportError, match=r"eval_reward/0 is nan at step 30"):
        read_run(directory)


def test_a_run_without_an_evaluation_is_left_out(make_run: Any) -> None:
    empty, good = make_run("0", {}), make_run("1", {0: A})
    runs, notes = read_runs([empty, good])
    assert [run.source for run in runs] == [str(good)]
    assert notes == [f"left out: {empty}: it has no evaluation yet"]


def test_where_no_run_is_left_every_reason_is_told(make_run: Any) -> None:
    with pytest.raises(ReportError, match=r"no run is left to report on\nleft out: .*no evaluation yet"):
        read_runs([make_run("0", {})])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"policy": {}}'])
def test_a_damaged_record_is_named(make_run: Any, text: str) -> None:
    directory = make_run("0", {0: A})
    (directory / "run.json").write_text(text)
    with pytest.raises(ReportError, match=r"run\.json"):
        read_run(directory)


def test_folders_and_patterns_name_the_runs_in_them(make_run: Any, tmp_path: Path) -> None:
    runs = [make_run(f"study/{entry}/seed_{seed}", {0: A}) for entry in (0, 1) for seed in (0, 1)]
    assert find_runs([str(tmp_path / "study")]) == runs
    assert find_runs([str(tmp_path / "study/*/seed_1")]) == [runs[1], runs[3]]
    assert find_runs([str(runs[0]), str(tmp_path / "study")]) == runs  # none counts twice


def test_a_place_without_a_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReportError, match=r"empty: there is no run in it; a run's directory has a file run\.json"):
        find_runs([str(tmp_path / "empty")])
    with pytest.raises(ReportError, match=r"missing: there is no such file or directory"):
        find_runs([str(tmp_path / "missing")])


def test_links_do_not_count_a_run_twice(make_run: Any, tmp_path: Path) -> None:
    run = make_run("study/0", {0: A})
    (tmp_path / "study/latest").symlink_to(run)
    (tmp_path / "study/loop").symlink_to(tmp_path / "study")
    assert find_runs([str(tmp_path / "study"), str(run), str(tmp_path / "study/latest")]) == [run]


def test_a_finished_run_whose_log_stops_early_counts_as_unfinished(make_run: Any) -> None:
    run = read_run(make_run("0", {0: {0: 0.0, 20: 10.0}}, visits=[(0, 0, 0, 20)]))
    assert not run.finished
    assert "does not go that far" in run.notes[0]


def test_a_run_without_an_evaluation_before_training_is_told(make_run: Any) -> None:
    run = read_run(make_run("0", {0: {20: 10.0, 40: 3.0}}))
    assert "no evaluation before training" in run.notes[0]


def test_a_step_that_is_no_number_is_told(make_run: Any) -> None:
    directory = make_run("0", {0: A})
    metrics = directory / "metrics.jsonl"
    metrics.write_text(metrics.read_text().replace('"step": 30', '"step": Infinity'))
    with pytest.raises(ReportError, match="not as a run writes it"):
        read_run(directory)
