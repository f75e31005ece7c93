"""The queue: who makes a run's folder runs it."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from crl_core.errors import ConfigError, DeviceError, ExperimentError, RunBusyError, RunDirectoryError
from crl_core.queue import Queue
from crl_core.queue_runs import begin_or_go_on, plan_entry, run_entries, run_entry
from crl_core.run_directory import Status
from crl_core.sessions import this_process

RUN = {"policy": "random", "experiment": "tutorial"}


def make_queue(directory: Path, *entries: dict[str, Any], **flags: Any) -> Queue:
    path = directory / "study.json"
    path.write_text(json.dumps(list(entries)))
    return Queue(path, {"output_dir": str(directory / "out"), **flags})


def test_runs_lie_in_a_folder_named_after_the_file(tmp_path: Path) -> None:
    queue = make_queue(tmp_path, RUN, {**RUN, "seeds": [4]}, cycle_count="2")
    assert queue.directory == tmp_path / "out" / "study"
    plan = plan_entry(queue, queue.entries[1])
    assert plan.directory == tmp_path / "out" / "study" / "1" / "seed_4"
    assert plan.record()["queue"] == {
        "config_file": str(tmp_path / "study.json"),
        "entry": "1:4",
        "written": {**RUN, "seed": 4},
        "overrides": {"cycle_count": "2"},
    }
    assert not (tmp_path / "out").exists()


def test_an_entry_is_claimed_once(tmp_path: Path) -> None:
    first, second = make_queue(tmp_path, RUN, RUN), make_queue(tmp_path, RUN, RUN)
    entry = first.entries[0]
    with first.claim(entry) as mine, second.claim(entry) as theirs:
        assert (mine, theirs) == (True, False)
        (first.directory / "0" / "run.json").write_text("{}")
    assert [each.label for each in second.unclaimed()] == ["1"]


def test_a_claim_that_came_to_nothing_is_given_back(tmp_path: Path) -> None:
    queue = make_queue(tmp_path, RUN)
    with pytest.raises(ExperimentError), queue.claim(queue.entries[0]):
        raise ExperimentError("no policy can play this")
    assert [each.label for each in queue.unclaimed()] == ["0"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    queue = make_queue(tmp_path, RUN)
    (tmp_path / "out").write_text("a file")
    with pytest.raises(RunDirectoryError, match="cannot be made"), queue.claim(queue.entries[0]):
        pass


def test_entries_have_names(tmp_path: Path) -> None:
    queue = make_queue(tmp_path, RUN, {**RUN, "seeds": [4, 5]})
    assert queue.entry("1:5").resolved.run.seed == 5
    with pytest.raises(ConfigError, match=r"--resume-id: there is no entry 7 in .*; its entries are 0, 1:4, 1:5"):
        queue.entry("7")
    with pytest.raises(ConfigError, match=r"there is no entry 1 in .*; it has seeds: 1:4, 1:5"):
        queue.entry("1")


def test_how_entries_stand(tmp_path: Path) -> None:
    queue = make_queue(tmp_path, *[RUN] * 6)
    live = {**this_process(), "state": "running", "total_steps": 5, "run_num_timesteps": 10}
    for index, status in enumerate(
        [live, {**live, "pid": 2**22 + 1}, {"state": "failed", "reason": "no room"}, {"state": "finished"}]
    ):
        directory = queue.directory / str(index)
        directory.mkdir(parents=True)
        (directory / "status.json").write_text(json.dumps(status))
        (directory / "run.json").write_text("{}")
    (queue.directory / "4").mkdir()
    returns = [{"name": "eval_reward/1", "value": value} for value in (1.0, 2.5)]
    (queue.directory / "0" / "metrics.jsonl").write_text("half a row}\n" + "\n".join(map(json.dumps, returns)) + "\n")

    found = [queue.standing(entry) for entry in queue.entries]
    assert [each.state for each in found] == ["running", "stale", "failed", "finished", "claimed", "waiting"]
    assert (found[0].total_steps, found[0].run_num_timesteps, found[0].returns) == (5, 10, {1: 2.5})
    assert found[0].heartbeat_age is not None
    assert found[0].heartbeat_age < 60
    assert found[2].reason == "no room"
    assert [entry.label for entry in queue.unclaimed()] == ["5"]


def test_the_number_of_another_process_is_not_taken_for_a_sign_of_life(tmp_path: Path) -> None:
    queue = make_queue(tmp_path, RUN)
    directory = queue.directory / "0"
    directory.mkdir(parents=True)
    status = {**this_process(), "state": "running", "process_started": 1e9}
    (directory / "status.json").write_text(json.dumps(status))
    assert queue.standing(queue.entries[0]).state == "stale"


def test_all_entries_run_and_a_failed_one_stops_no_other(tmp_path: Path) -> None:
    tiny = {**RUN, "num_timesteps": 20, "no_initial_eval": True, "continual_eval_num_returns": 1}
    queue = make_queue(tmp_path, tiny, {**tiny, "experiment": "gym:CartPole-v1"}, tiny)
    (queue.directory / "1").mkdir(parents=True)
    (queue.directory / "1" / "status.json").write_text('{"state": "failed", "reason": "once"}')
    (queue.directory / "1" / "run.json").write_text("{}")

    def run_them(*, run_all: bool, retry_failed: bool) -> tuple[int, str]:
        console = Console(file=io.StringIO(), width=200)
        code = run_entries(queue, console, run_all=run_all, retry_failed=retry_failed)
        assert isinstance(console.file, io.StringIO)
        return code, console.file.getvalue()

    assert run_them(run_all=False, retry_failed=False)[0] == 0
    assert [queue.standing(entry).state for entry in queue.entries] == ["finished", "failed", "waiting"]
    code, text = run_them(run_all=True, retry_failed=False)
    assert (code, text.splitlines()[-1]) == (
        0,
        f"{queue.path}: 1 finished here, 0 ended with an error; they are in {queue.directory}",
    )
    assert [queue.standing(entry).state for entry in queue.entries] == ["finished", "failed", "finished"]
    code, text = run_them(run_all=True, retry_failed=True)  # the run.json says nothing
    assert code == 1
    assert f"Error: {queue.path}: entry 1: " in text
    assert "0 finished here, 1 ended with an error" in text
    code, text = run_them(run_all=False, retry_failed=False)
    assert code == 0
    assert "every run of it has been started" in text


def test_an_entry_that_is_gone_on_with_keeps_its_settings_and_tells_what_differs(tmp_path: Path) -> None:
    tiny = {**RUN, "num_timesteps": 20, "no_initial_eval": True, "continual_eval_num_returns": 1}
    queue = make_queue(tmp_path, tiny)
    console = Console(file=io.StringIO(), width=200)
    begin_or_go_on(queue, queue.entries[0], console)
    directory = queue.run_directory(queue.entries[0])
    status = json.loads((directory / "status.json").read_text())
    (directory / "status.json").write_text(json.dumps({**status, "state": "failed"}))
    changed = make_queue(tmp_path, {**tiny, "num_timesteps": 30})
    begin_or_go_on(changed, changed.entries[0], console)
    assert isinstance(console.file, io.StringIO)
    told = "num_timesteps was changed in the config file: it is 30, and the run goes on with 20"
    assert told in console.file.getvalue()
    assert changed.changes(changed.entries[0]) == [told]
    assert changed.standing(changed.entries[0]).state == "finished"
    begin_or_go_on(changed, changed.entries[0], console)
    assert "there is nothing to go on with" in console.file.getvalue()


def test_a_mistake_in_the_last_entry_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="entry 1: unknown experiment 'tutorail'"):
        make_queue(tmp_path, RUN, {**RUN, "experiment": "tutorail"})
    assert [path.name for path in tmp_path.iterdir()] == ["study.json"]


def test_an_entry_that_another_process_took_meanwhile_is_left_to_it(tmp_path: Path) -> None:
    queue = make_queue(tmp_path, RUN)
    (entry,) = queue.unclaimed()
    directory = queue.run_directory(entry)
    directory.mkdir(parents=True)
    (directory / "run.json").write_text("{}")
    assert not run_entry(queue, entry, Console(file=io.StringIO()))
    assert [path.name for path in directory.iterdir()] == ["run.json"]


def test_flags_that_differ_from_those_an_entry_was_begun_with_are_told(tmp_path: Path) -> None:
    tiny = {**RUN, "no_initial_eval": True, "continual_eval_num_returns": 1}
    queue = make_queue(tmp_path, tiny, num_timesteps="20")
    (entry,) = queue.entries
    assert run_entry(queue, entry, Console(file=io.StringIO()))
    assert make_queue(tmp_path, tiny).changes(entry) == []
    assert queue.changes(entry) == []
    assert make_queue(tmp_path, tiny, num_timesteps="30", comment="more").changes(entry) == [
        "num_timesteps was changed on the command line: it is '30', and the run goes on with '20'",
        "comment was changed on the command line: it is 'more', and the run goes on with not set",
    ]


def abandoned(queue: Queue) -> Path:
    """Leave an entry as a process does that is killed while it prepares the run."""
    directory = queue.run_directory(queue.entries[0])
    (directory / "sessions" / "0").mkdir(parents=True)
    Status(directory, session=0)
    status = json.loads((directory / "status.json").read_text())
    assert queue.standing(queue.entries[0]).state == "claimed"
    (directory / "status.json").write_text(json.dumps({**status, "pid": 2**22 + 1}))  # no process has such a number
    return directory


def test_a_claim_whose_process_was_killed_is_stale_and_can_be_taken_over(tmp_path: Path) -> None:
    queue = make_queue(tmp_path, {**RUN, "num_timesteps": 20, "no_initial_eval": True, "continual_eval_num_returns": 1})
    directory = abandoned(queue)
    assert queue.standing(queue.entries[0]).state == "stale"
    assert not run_entry(queue, queue.entries[0], Console(file=io.StringIO()))  # never silently
    begin_or_go_on(queue, queue.entries[0], Console(file=io.StringIO()))
    assert queue.standing(queue.entries[0]).state == "finished"
    assert sorted(path.name for path in (directory / "sessions").iterdir()) == ["0", "1"]


def test_a_claim_that_is_taken_over_in_vain_is_given_back(tmp_path: Path) -> None:
    queue = make_queue(tmp_path, {**RUN, "device": "cuda:7"})
    abandoned(queue)
    with pytest.raises(DeviceError):
        begin_or_go_on(queue, queue.entries[0], Console(file=io.StringIO()))
    assert queue.standing(queue.entries[0]).state == "waiting"


def test_an_entry_that_another_process_goes_on_with_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(queue: Queue, entry: Any, console: Console) -> bool:
        raise RunBusyError("it is running")

    queue = make_queue(tmp_path, RUN)
    abandoned(queue)
    monkeypatch.setattr("crl_core.queue_runs.go_on", busy)
    console = Console(file=io.StringIO(), width=200)
    assert run_entries(queue, console, run_all=True, retry_failed=True) == 0
    assert isinstance(console.file, io.StringIO)
    assert "entry 0 of " in console.file.getvalue()
    assert "Error" not in console.file.getvalue()


def test_a_full_disk_is_told_and_the_entry_waits_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    queue = make_queue(tmp_path, RUN)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunDirectoryError, match=r"out/study/0 cannot be written: .*No space left on device"):
        run_entry(queue, queue.entries[0], Console(file=io.StringIO()))
    assert queue.standing(queue.entries[0]).state == "waiting"


def test_a_claim_of_a_moment_ago_is_left_to_its_process(tmp_path: Path) -> None:
    queue = make_queue(tmp_path, RUN)
    directory = queue.run_directory(queue.entries[0])
    directory.mkdir(parents=True)
    with pytest.raises(RunDirectoryError, match="was claimed a moment ago"):
        begin_or_go_on(queue, queue.entries[0], Console(file=io.StringIO()))
    assert list(directory.iterdir()) == []
    os.utime(directory, (1, 1))
    assert queue.standing(queue.entries[0]).state == "stale"


def test_a_folder_of_another_file_of_that_name_is_refused(tmp_path: Path) -> None:
    queue = make_queue(tmp_path, {**RUN, "num_timesteps": 20, "no_initial_eval": True, "continual_eval_num_returns": 1})
    assert run_entry(queue, queue.entries[0], Console(file=io.StringIO()))
    moved = tmp_path / "elsewhere" / "study.json"
    moved.parent.mkdir()
    moved.write_text((tmp_path / "study.json").read_text())
    with pytest.raises(ConfigError, match=r"holds the runs of another config file of that name, .*/study\.json"):
        Queue(moved, {"output_dir": str(tmp_path / "out")})
    (tmp_path / "study.json").unlink()
    assert Queue(moved, {"output_dir": str(tmp_path / "out")}).standing(queue.entries[0]).state == "finished"


def test_a_run_whose_status_is_gone_can_be_gone_on_with(tmp_path: Path) -> None:
    queue = make_queue(tmp_path, {**RUN, "num_timesteps": 20, "no_initial_eval": True, "continual_eval_num_returns": 1})
    (entry,) = queue.entries
    assert run_entry(queue, entry, Console(file=io.StringIO()))
    directory = queue.run_directory(entry)
    (directory / "status.json").write_text("half a sta")
    assert queue.standing(entry).state == "stale"
    with pytest.raises(
        RunDirectoryError, match=r"status\.json was written 0 s ago and cannot be read, so a process may"
    ):
        begin_or_go_on(queue, entry, Console(file=io.StringIO()))
    for path in (directory / "status.json", directory / "sessions" / "0"):
        os.utime(path, (1e9, 1e9))
    begin_or_go_on(queue, entry, Console(file=io.StringIO()))
    assert queue.standing(entry).state == "finished"
