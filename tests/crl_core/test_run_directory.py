"""The run directory: made once, whole or not at all, never shared."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from crl_core import run_directory as module
from crl_core.errors import RunDirectoryError
from crl_core.run_directory import (
    Status,
    check_run_directory,
    default_run_directory,
    environment_record,
    make_run_directory,
    write_record,
)
from crl_core.sessions import begin_session


def snapshot(directory: Path) -> dict[str, str | None]:
    return {
        str(path.relative_to(directory)): path.read_text() if path.is_file() else None
        for path in sorted(directory.rglob("*"))
    }


def create_run_directory(directory: Path, record: dict[str, Any]) -> None:
    make_run_directory(directory)
    write_record(directory, record)


def test_a_new_one_holds_the_record_and_room_for_checkpoints(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "run"
    create_run_directory(directory, {"seed": 3})
    assert json.loads((directory / "run.json").read_text()) == {"seed": 3}
    assert sorted(path.name for path in directory.iterdir()) == ["checkpoints", "run.json"]


def test_an_empty_directory_will_do(tmp_path: Path) -> None:
    create_run_directory(tmp_path, {})
    assert (tmp_path / "run.json").exists()


def another_run(directory: Path) -> Path:
    create_run_directory(directory / "run", {"seed": 1})
    return directory / "run"


def other_files(directory: Path) -> Path:
    (directory / "notes.txt").write_text("mine")
    return directory


def a_file(directory: Path) -> Path:
    (directory / "file").write_text("mine")
    return directory / "file"


def checkpoints_of_something_else(directory: Path) -> Path:
    (directory / "checkpoints" / "700000").mkdir(parents=True)
    return directory


def sessions_of_something_else(directory: Path) -> Path:
    (directory / "sessions" / "notes").mkdir(parents=True)
    return directory


def status_of_something_else(directory: Path) -> Path:
    (directory / "status.json").write_text("mine")
    return directory


def under_a_file(directory: Path) -> Path:
    return a_file(directory) / "run"


def too_long(directory: Path) -> Path:
    return directory / ("x" * 300)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (another_run, "holds another run already. Choose another directory; nothing was changed."),
        (other_files, "exists and is not an empty directory. Choose another; nothing was changed."),
        (checkpoints_of_something_else, "exists and is not an empty directory."),
        (sessions_of_something_else, "exists and is not an empty directory."),
        (status_of_something_else, "exists and is not an empty directory."),
        (a_file, "exists and is not an empty directory. Choose another; nothing was changed."),
        (under_a_file, "cannot be"),
        (too_long, "cannot be used: [Errno 36] File name too long"),
    ],
)
def test_what_cannot_be_used_is_left_alone(tmp_path: Path, make: Any, message: str) -> None:
    directory = make(tmp_path)
    before = snapshot(tmp_path)
    for function in (check_run_directory, make_run_directory, lambda path: write_record(path, {})):
        with pytest.raises(RunDirectoryError) as raised:
            function(directory)
        assert str(raised.value).startswith("--output-dir: ")
        assert message in str(raised.value)
    assert snapshot(tmp_path) == before


def test_a_parent_that_cannot_be_written_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)  # as for anybody but root
    with pytest.raises(RunDirectoryError, match=f"new/run cannot be made, because {tmp_path} cannot be written to"):
        check_run_directory(tmp_path / "new" / "run")
    assert list(tmp_path.iterdir()) == []


def test_two_runs_that_start_at_once_do_not_share_one(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    for _ in range(2):  # both looked before either began
        make_run_directory(directory)
    with begin_session(directory):
        with pytest.raises(RunDirectoryError, match="begun or resumed by another process"), begin_session(directory):
            pass
        write_record(directory, {"seed": 1})
    with pytest.raises(RunDirectoryError, match="holds another run already"):
        make_run_directory(directory)


def test_what_a_process_left_that_was_killed_before_it_began_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "sessions" / "0").mkdir(parents=True)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / ".run.json.unfinished").touch()
    Status(tmp_path, session=0)
    create_run_directory(tmp_path, {"seed": 3})
    assert json.loads((tmp_path / "run.json").read_text()) == {"seed": 3}


def test_a_record_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    make_run_directory(tmp_path / "run")
    with begin_session(tmp_path / "run"):
        Status(tmp_path / "run", session=0)
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(RunDirectoryError, match=r"cannot be written: .*No space left"):
            write_record(tmp_path / "run", {})
    assert list((tmp_path / "run").iterdir()) == []


def test_the_default_name_says_what_runs_and_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = default_run_directory("clear", "gym:CartPole-v1/x")
    assert first.parent == Path("runs")
    assert first.name.startswith("clear_gym-CartPole-v1-x_")
    monkeypatch.setattr("crl_core.run_directory.os.getpid", lambda: 123456)
    assert default_run_directory("clear", "x").name.endswith("-123456")  # another process never has the same name


def test_the_environment_is_recorded_without_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record = environment_record()
    assert record["git_commit"] is None
    assert record["python"].startswith("3.")
    assert all(record[name] for name in ("torch", "platform", "host", "cpu_count", "started"))
    json.dumps(record)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment_record()["git_commit"] is None  # nor without git


def test_status_beats_now_and_then_and_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)

    def read() -> dict[str, Any]:
        record: dict[str, Any] = json.loads((tmp_path / "status.json").read_text())
        return record

    status = Status(tmp_path, session=0)
    assert (read()["state"], read()["pid"]) == ("running", os.getpid())
    assert {"host", "heartbeat", "reason"} <= read().keys()
    status.beat(lambda: {"total_steps": 1})
    assert "total_steps" not in read()
    now += 10
    status.beat(lambda: {"total_steps": 2})
    assert read()["total_steps"] == 2
    status.end("failed", "the disk is full", {"total_steps": 3})
    assert (read()["state"], read()["reason"], read()["total_steps"]) == ("failed", "the disk is full", 3)


def test_a_run_that_was_taken_over_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sessions" / "0").mkdir(parents=True)
    status = Status(tmp_path, session=0)
    before = (tmp_path / "status.json").read_text()
    (tmp_path / "sessions" / "1").mkdir()
    for call in (status.check, lambda: status.tell({}), lambda: status.end("finished", "", {})):
        with pytest.raises(RunDirectoryError, match="was taken over by another process"):
            call()
    assert (tmp_path / "status.json").read_text() == before


def test_a_status_that_cannot_be_written_is_told_and_tried_again(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    status = Status(directory, session=0)
    status._written = float("-inf")
    directory.rename(tmp_path / "moved")
    for _ in range(2):
        with pytest.raises(RunDirectoryError, match="run cannot be written: "):
            status.beat(dict)
