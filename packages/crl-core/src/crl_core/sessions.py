"""Sessions: the starts of a run, one after the other; never two at once, on one machine or on several.

Every start makes `sessions/<n>` in the run directory, with n one higher than the last. `mkdir` is atomic on network
file systems too, so of two processes that resume a run at the same moment one fails. Whether the session before is
over is told by status.json: by its process on the same host, by the age of its sign of life on another.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from crl_core.errors import RunBusyError, RunDirectoryError

__all__ = [
    "STALE_SECONDS",
    "begin_session",
    "heartbeat_age",
    "is_live",
    "read_record",
    "read_status",
    "seconds_since_change",
    "this_process",
]

STALE_SECONDS = 120.0  # signs of life come every ten seconds, but making 64 environments gives none for a while


def this_process() -> dict[str, Any]:
    """Return what tells this process from every other: host, process id and when it was started."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "process_started": psutil.Process().create_time()}


def read_record(directory: Path) -> dict[str, Any]:
    """Return a run's run.json.

    Raises:
        RunDirectoryError: there is none, or it cannot be read.
    """
    path = directory / "run.json"
    if not path.is_file():
        what = "holds no run.json, so it is no run directory" if directory.is_dir() else "is no directory"
        raise RunDirectoryError(f"{directory} {what}. Name the directory that `crl run` printed as 'run directory'.")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunDirectoryError(f"{path} cannot be read: {error}") from error
    if not isinstance(record, dict):
        raise RunDirectoryError(f"{path} is not the record of a run")
    return record


def read_status(directory: Path) -> dict[str, Any] | None:
    """Return a run's status.json; None where there is none, or it cannot be read."""
    try:
        status = json.loads((directory / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return status if isinstance(status, dict) else None


def heartbeat_age(directory: Path) -> float | None:
    """Return the seconds since the last sign of life, by the clock of the file server; None where there is none."""
    return seconds_since_change(directory / "status.json")


def is_live(directory: Path, status: Mapping[str, Any] | None) -> bool:
    """Tell whether a process works on the run: the recorded one still exists, or, elsewhere, gave a recent sign."""
    if status is None or status.get("state") != "running":
        return False
    if status.get("host") == socket.gethostname():
        return _exists(status)
    age = heartbeat_age(directory)
    return age is not None and age < STALE_SECONDS


@contextlib.contextmanager
def begin_session(directory: Path) -> Iterator[int]:
    """Make the run's next session; yield its number.

    One that has not written its status when the context ends is taken back, and so is all of a run's first session
    that has not written run.json.

    Raises:
        RunBusyError: another process works on the run.
        RunDirectoryError: the directory cannot be written.
    """
    sessions = directory / "sessions"
    try:
        sessions.mkdir(exist_ok=True)
        last = max((int(path.name) for path in sessions.iterdir() if path.name.isdigit()), default=-1)
        _refuse_if_live(directory, last)
        number = last + 1
        (sessions / str(number)).mkdir()
    except FileExistsError as error:
        raise RunBusyError(f"{directory} is being resumed by another process at this moment") from error
    except OSError as error:
        raise RunDirectoryError(f"{directory} cannot be written: {error}") from error
    try:
        yield number
    finally:
        with contextlib.suppress(OSError):
            _take_back(directory, number)


def _take_back(directory: Path, number: int) -> None:
    """Remove what a session leaves that came to nothing."""
    sessions = directory / "sessions"
    status = read_status(directory)
    if not (directory / "run.json").exists():
        if status is not None and status.get("session") != number:
            return  # another process has taken it over
        (directory / "status.json").unlink(missing_ok=True)
        for each in sessions.iterdir():  # earlier ones too: they were killed before they began a run
            each.rmdir()
        sessions.rmdir()
    elif status is None or status.get("session") != number:
        (sessions / str(number)).rmdir()


def _refuse_if_live(directory: Path, last: int) -> None:
    """Raise if the last session is not over. It is listed before its status is read: see the module's first lines."""
    status = read_status(directory)
    if is_live(directory, status):
        assert status is not None  # or it would not be live
        raise RunBusyError(
            f"{directory} is running: process {status.get('pid')} on {status.get('host')}, last sign of life "
            f"{status.get('heartbeat')}. Stop that one first."
        )
    sign = heartbeat_age(directory)
    if status is None and sign is not None and sign < STALE_SECONDS:
        raise RunBusyError(
            f"{directory / 'status.json'} was written {sign:.0f} s ago and cannot be read, so a process may be at work "
            f"there. If none is, try again in {STALE_SECONDS - sign:.0f} s."
        )
    told = -1 if status is None else status.get("session", -1)
    age = seconds_since_change(directory / "sessions" / str(last))
    if last > told and age is not None and age < STALE_SECONDS:
        raise RunBusyError(
            f"{directory} was begun or resumed by another process {age:.0f} s ago, which has given no sign of life "
            f"yet. If it is gone, try again in {STALE_SECONDS - age:.0f} s."
        )


def _exists(status: Mapping[str, Any]) -> bool:
    """Tell whether the very process exists still, not another one that got its number."""
    try:
        started = psutil.Process(int(status["pid"])).create_time()
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False
    return abs(started - float(status.get("process_started", started))) < 1


def seconds_since_change(path: Path) -> float | None:
    """Return the seconds since a path was changed, by the clock of the file server; None where that cannot be told."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".now-") as now:
            return max(0.0, os.fstat(now.fileno()).st_mtime - path.stat().st_mtime)
    except OSError:
        return None
