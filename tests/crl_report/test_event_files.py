"""Event files as the original wrote them, against its formulas computed the slow way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from crl_core.cli.main import main

TASKS, STEPS, CYCLES, WINDOW = 3, 100, 2, 4
Returns = Mapping[int, Sequence[tuple[int, float]]]


def report(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["report", *map(str, arguments)])
    return int(ended.value.code or 0)


def write_events(directory: Path, returns: Returns, suffix: str = "") -> None:
    writer = EventFileWriter(str(directory), filename_suffix=suffix)
    rows = sorted((step, task, value) for task, found in returns.items() for step, value in found)
    for order, (step, task, value) in enumerate(rows):
        summary = Summary(value=[Summary.Value(tag=f"eval_reward/{task}", simple_value=value)])
        writer.add_event(Event(wall_time=float(order), step=step, summary=summary))
        writer.add_event(
            Event(
                wall_time=float(order), step=step, summary=Summary(value=[Summary.Value(tag="loss", simple_value=0.1)])
            )
        )
    writer.close()


def some_returns(seed: int) -> Returns:
    rng = np.random.default_rng(seed)
    return {
        task: [(step, float(np.float32(rng.normal(10 * task, 5)))) for step in range(3, TASKS * STEPS * CYCLES, 13)]
        for task in range(TASKS)
    }


def rolling(found: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    return [
        (step, mean([value for _, value in found[max(0, index - WINDOW + 1) : index + 1]]))
        for index, (step, _) in enumerate(found)
    ]


def last_before(found: Sequence[tuple[int, float]], step: float) -> float:
    return [value for at, value in found if at < step][-1]


def forgetting(runs: Sequence[Returns], cycle: int) -> dict[tuple[int, int], list[float]]:
    """Return F of each run: what the last value before a training has more than the last one in it, over max |R|."""
    figures: dict[tuple[int, int], list[float]] = {}
    for i in range(TASKS):
        smoothed = [rolling(run[i]) for run in runs]
        largest = max(abs(value) for found in smoothed for _, value in found)
        for j in range(TASKS):
            if cycle == 0 and j <= i:
                continue
            start = (cycle * TASKS + j) * STEPS
            figures[i, j] = [
                (last_before(found, start) - last_before(found, start + STEPS)) / largest for found in smoothed
            ]
    return figures


def transfer(runs: Sequence[Returns]) -> dict[tuple[int, int], list[float]]:
    """Return Z of each run: the last value in a training less that before it, the very first value before the first."""
    figures: dict[tuple[int, int], list[float]] = {}
    for i in range(TASKS):
        smoothed = [rolling(run[i]) for run in runs]
        largest = max(abs(value) for found in smoothed for _, value in found)
        for j in range(i):
            figures[i, j] = [
                (last_before(found, (j + 1) * STEPS) - (last_before(found, j * STEPS) if j else found[0][1])) / largest
                for found in smoothed
            ]
    return figures


def table(output: Path, name: str) -> dict[tuple[str, str], tuple[float, float]]:
    cells = json.loads((output / "tables.json").read_text())[name]["cells"]
    return {
        (cell["row"], cell["column"]): (cell["value"], cell["standard_error"])
        for cell in cells
        if cell["value"] is not None
    }


def check(found: Mapping[tuple[str, str], tuple[float, float]], figures: Mapping[tuple[int, int], list[float]]) -> None:
    """Compare every cell and every margin."""
    rows = {f"t{i}": {pair for pair in figures if pair[0] == i} for i in range(TASKS)} | {"all": set(figures)}
    columns = {f"after t{j}": {pair for pair in figures if pair[1] == j} for j in range(TASKS)} | {"all": set(figures)}
    compared = 0
    for row, in_row in rows.items():
        for column, in_column in columns.items():
            pairs = in_row & in_column
            if not pairs:
                assert (row, column) not in found
                continue
            per_run = [mean(values) for values in zip(*(figures[pair] for pair in pairs), strict=True)]
            error = stdev(per_run) / len(per_run) ** 0.5
            assert found[row, column] == (pytest.approx(10 * mean(per_run)), pytest.approx(10 * error))
            compared += 1
    assert compared == len(found)


def test_forgetting_and_transfer_are_those_of_the_originals_formulas(tmp_path: Path) -> None:
    runs = [some_returns(seed) for seed in range(4)]
    for seed, run in enumerate(runs):
        write_events(tmp_path / f"impala/0/run_{seed}", run)
    output = tmp_path / "report"
    options = ["--tasks", "t0,t1,t2", "--task-steps", "1e2", "--cycles", "2", "--window", "4", "--scale", "own"]
    assert report("--tensorboard", f"impala={tmp_path / 'impala'}", *options, "--output", output) == 0
    check(table(output, "forgetting_impala_cycle0"), forgetting(runs, 0))
    check(table(output, "forgetting_impala_cycle1"), forgetting(runs, 1))
    check(table(output, "transfer_impala"), transfer(runs))


def test_files_of_a_resumed_run_are_one_run_and_its_later_values_count(tmp_path: Path) -> None:
    directory = tmp_path / "clear"
    write_events(directory, {0: [(0, 1.0), (50, 2.0), (90, 9.0)]}, suffix=".a")
    writer = EventFileWriter(str(directory), filename_suffix=".b")
    for order, (step, value) in enumerate([(90, 4.0), (100, 5.0)]):
        summary = Summary(value=[Summary.Value(tag="eval_reward/0", simple_value=value)])
        writer.add_event(Event(wall_time=1000.0 + order, step=step, summary=summary))
    writer.close()
    output = tmp_path / "report"
    options = ["--tasks", "t0", "--task-steps", "100", "--window", "2"]
    assert report("--tensorboard", directory, *options, "-o", output) == 0
    assert table(output, "final_returns")["t0", "clear"][0] == pytest.approx(4.5)


def test_a_run_that_ended_early_has_no_final_return(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_events(tmp_path / "clear", {0: [(0, 1.0), (50, 2.0), (99, 2.0), (120, 3.0)]})
    output = tmp_path / "report"
    options = ["--tasks", "t0,t1", "--task-steps", "100", "--window", "1"]
    assert report("--tensorboard", tmp_path / "clear", *options, "-o", output) == 0
    assert "has not come to its end" in capsys.readouterr().err
    assert table(output, "final_returns") == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "needs either --experiment, or --tasks"),
        (["--tasks", "a"], "--tasks needs --task-steps"),
        (["--tasks", "a,a", "--task-steps", "5"], "a name is empty, or there twice"),
        (["--tasks", "a", "--task-steps", "much"], "is no number of steps"),
        (["--tasks", "a", "--task-steps", "0.5"], "should be a whole number of 1 or more"),
        (["--tasks", "a", "--task-steps", "5"], "it evaluated eval_reward/1, which is no task of"),
        (["--experiment", "nonesuch"], "nonesuch"),
    ],
)
def test_mistakes_get_one_message(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_events(tmp_path / "clear", {0: [(0, 1.0)], 1: [(0, 1.0)]})
    assert report("--tensorboard", tmp_path / "clear", *options, "-o", tmp_path / "report") == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "report").exists()


def test_more_evaluations_than_the_experiment_has_steps_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_events(tmp_path / "clear", {0: [(step, 1.0) for step in range(0, 400, 10)]})
    assert report("--tensorboard", tmp_path / "clear", "--tasks", "t0", "--task-steps", "100") == 2
    assert "go on to step 390, beyond the 100 steps" in capsys.readouterr().err


def test_a_damaged_file_is_told_and_gives_no_wrong_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    returns = {0: [(step, float(step)) for step in range(0, 200, 10)]}
    write_events(tmp_path / "clear", {0: returns[0][:11]}, suffix=".1")
    write_events(tmp_path / "clear", {0: returns[0][11:]}, suffix=".2")
    (first,) = (tmp_path / "clear").glob("*.1")
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 1
    first.write_bytes(content)
    options = ["--tasks", "t0,t1", "--task-steps", "100", "-o", tmp_path / "report"]
    assert report("--tensorboard", tmp_path / "clear", *options) == 0
    assert "is cut off or damaged at record" in capsys.readouterr().err
    cells = json.loads((tmp_path / "report/tables.json").read_text())["forgetting_clear_cycle0"]["cells"]
    assert {(cell["row"], cell["column"]): cell["value"] for cell in cells}["t0", "after t1"] is None


def test_a_gap_in_the_evaluations_does_not_make_an_early_end_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_events(tmp_path / "clear", {0: [(step, 1.0 + step) for step in (0, 10, 20, 30, 40, 110, 120, 130)]})
    options = ["--tasks", "t0,t1", "--task-steps", "100", "-o", tmp_path / "report"]
    assert report("--tensorboard", tmp_path / "clear", *options) == 0
    assert "has not come to its end" in capsys.readouterr().err


def test_a_folder_of_something_else_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options: list[Any] = ["--tasks", "a", "--task-steps", "5"]
    (tmp_path / "ours").mkdir()
    write_events(tmp_path / "ours", {0: [(0, 1.0)]})
    (tmp_path / "ours/run.json").write_text("{}")
    assert report("--tensorboard", tmp_path / "ours", *options) == 2
    assert f"{tmp_path / 'ours'}: it is a run of crl" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "ours")
    assert report("--tensorboard", tmp_path, *options) == 2
    assert "there is no event file in it" in capsys.readouterr().err
    assert report("--tensorboard", tmp_path / "missing", *options) == 2
    assert "there is no such directory" in capsys.readouterr().err


def test_either_runs_or_event_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(tmp_path, "--tensorboard", tmp_path) == 2
    assert "name either runs, or folders of event files" in capsys.readouterr().err
    assert report(tmp_path, "--cycles", "2") == 2
    assert "go with --tensorboard" in capsys.readouterr().err
