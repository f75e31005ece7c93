"""The run directory: made once, never shared by two runs, with a status that others can read."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import torch

from crl_core.checkpoint import write_durably
from crl_core.errors import RunDirectoryError
from crl_core.experiment_names import experiment_label
from crl_core.sessions import this_process

__all__ = [
    "State",
    "Status",
    "check_run_directory",
    "default_run_directory",
    "environment_record",
    "make_run_directory",
    "write_record",
    "writing",
]

State = Literal["running", "finished", "failed", "interrupted"]
_HEARTBEAT_SECONDS = 10.0


def default_run_directory(policy: str, experiment: str) -> Path:
    """Return `runs/<policy>_<experiment>_<timestamp>`; milliseconds and the process keep runs begun together apart."""
    now = datetime.now().astimezone()
    begun = f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03}"
    return Path("runs") / f"{policy}_{experiment_label(experiment)}_{begun}-{os.getpid()}"


def check_run_directory(directory: Path) -> None:
    """Check that a new run may use a directory, without touching anything.

    Raises:
        RunDirectoryError: it holds something already, or cannot be made there.
    """
    try:
        _check(directory)
    except OSError as error:
        raise RunDirectoryError(f"--output-dir: {directory} cannot be used: {error}") from error


def _check(directory: Path) -> None:
    if (directory / "run.json").exists():
        raise RunDirectoryError(
            f"--output-dir: {directory} holds another run already. Choose another directory; nothing was changed."
        )
    if directory.exists() and not (directory.is_dir() and all(_is_of_a_claim(each) for each in directory.iterdir())):
        raise RunDirectoryError(
            f"--output-dir: {directory} exists and is not an empty directory. Choose another; nothing was changed."
        )
    parent = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise RunDirectoryError(f"--output-dir: {directory} cannot be made, because {parent} cannot be written to.")


def _is_of_a_claim(path: Path) -> bool:
    """Tell whether a session leaves this before there is a run.json. Who owns the directory is for sessions to say."""
    if path.name == "checkpoints":
        return _is_empty(path)
    if path.name == "sessions":
        return path.is_dir() and all(each.name.isdigit() and _is_empty(each) for each in path.iterdir())
    if path.name == "status.json":
        return (path.parent / "sessions").is_dir()
    return path.name.startswith((".now-", ".run.json.", ".status.json."))


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def make_run_directory(directory: Path) -> None:
    """Make a directory for a run that is to be begun in it.

    Raises:
        RunDirectoryError: it cannot be made, or something is there.
    """
    check_run_directory(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunDirectoryError(f"--output-dir: {directory} cannot be made: {error}") from error


def write_record(directory: Path, record: Mapping[str, Any]) -> None:
    """Write run.json, and make room for checkpoints, in a directory whose first session is this process's.

    Raises:
        RunDirectoryError: it cannot be written, or holds something else.
    """
    check_run_directory(directory)
    try:
        (directory / "checkpoints").mkdir(exist_ok=True)
        write_durably(directory / "run.json", json.dumps(record, indent=1))
    except OSError as error:
        with contextlib.suppress(OSError):
            (directory / "checkpoints").rmdir()
        raise RunDirectoryError(f"--output-dir: {directory} cannot be written: {error}") from error


@contextlib.contextmanager
def writing(directory: Path) -> Iterator[None]:
    """Say in words that a run directory cannot be written.

    Raises:
        RunDirectoryError: it cannot, for example because the disk is full or the directory is gone.
    """
    try:
        yield
    except OSError as error:
        raise RunDirectoryError(f"the run directory {directory} cannot be written: {error}") from error


def environment_record() -> dict[str, Any]:
    """Return where and with what a run runs: Python, torch, platform, host and, where there is one, the git commit."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "cpu_count": os.cpu_count(),
        "git_commit": _git_commit(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _git_commit() -> str | None:
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None  # no git, or no repository: neither is required
    return answer.stdout.strip()


class Status:
    """status.json: whether a run is running, finished, failed or interrupted, and a sign of life.

    Any thread may show one. Every method raises `RunDirectoryError` where it cannot be written, or where another
    process has taken the run over, as it may when this one was suspended for minutes.
    """

    def __init__(self, directory: Path, *, session: int) -> None:
        """Write `running` into a run directory, for a session that was begun."""
        self._directory = directory
        self._session = session
        self._who = {**this_process(), "session": session}
        self._written = float("-inf")
        self._lock = threading.Lock()
        self._write("running", "")

    def check(self) -> None:
        """Raise if another process has taken the run over."""
        if (self._directory / "sessions" / str(self._session + 1)).exists():
            raise RunDirectoryError(
                f"{self._directory} was taken over by another process, as this one gave no sign of life; it stops here"
            )

    def beat(self, progress: Callable[[], Mapping[str, Any]]) -> None:
        """Show a sign of life, at most every ten seconds; `progress` is asked only then."""
        if time.monotonic() - self._written >= _HEARTBEAT_SECONDS:
            self._write("running", "", **progress())

    def tell(self, progress: Mapping[str, Any]) -> None:
        """Say at once where the run stands."""
        self._write("running", "", **progress)

    def end(self, state: State, reason: str, progress: Mapping[str, Any]) -> None:
        """Say how the run ended."""
        self._write(state, reason, **progress)

    def _write(self, state: State, reason: str, **progress: Any) -> None:
        self.check()
        record = {
            "state": state,
            "reason": reason,
            **self._who,
            "heartbeat": datetime.now(UTC).isoformat(timespec="seconds"),
            **progress,
        }
        with self._lock, writing(self._directory):
            write_durably(self._directory / "status.json", json.dumps(record, indent=1))
        self._written = time.monotonic()
