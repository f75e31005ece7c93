"""The queue: the runs of a config file, each claimed by one process with one atomic `mkdir`. Imports no torch.

A file `study.json` has the folder `study` in the output directory, and in it one folder for each run. Whoever makes a
run's folder runs it; a folder that is there, in whatever state, is never taken by another without being asked to.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from crl_core.config_file import Entry, read_config_file
from crl_core.errors import ConfigError, RunDirectoryError
from crl_core.sessions import STALE_SECONDS, heartbeat_age, is_live, read_record, read_status, seconds_since_change
from crl_core.validation import listed, shown

__all__ = ["EntryState", "Queue", "Standing"]

EntryState = Literal["waiting", "claimed", "running", "stale", "interrupted", "failed", "finished"]

_TAIL_BYTES = 100_000  # of metrics.jsonl; the latest evaluation is nearly always in it


@dataclass(frozen=True)
class Standing:
    """How an entry stands.

    Attributes:
        state: `waiting` for a process to claim it; `claimed` by one that has not begun its run yet; `running`;
            `stale`, its process being gone or silent, or its status unreadable; or how it ended.
        reason: why it ended.
        total_steps: the steps it has done.
        run_num_timesteps: the steps it is to do; 0 while nobody knows.
        heartbeat_age: seconds since its last sign of life, by the clock of the file server.
        returns: the latest evaluation return of each task, by the task's index.
    """

    state: EntryState
    reason: str = ""
    total_steps: int = 0
    run_num_timesteps: int = 0
    heartbeat_age: float | None = None
    returns: Mapping[int, float] | None = None


class Queue:
    """The runs of a config file, and the folder they run in.

    Attributes:
        path: the config file.
        flags: settings given beside it, which go before those of every entry.
        output_dir: the parent of the queue's folder.
        directory: the folder with one folder for each run.
        entries: the runs, in order, all of them validated.
    """

    def __init__(self, path: Path, flags: Mapping[str, Any]) -> None:
        """Read and validate a config file; nothing is written.

        Args:
            path: the config file.
            flags: settings that go before those of every entry, by name; `output_dir` is the parent of the folder.

        Raises:
            ConfigError: the file, or any entry in it, is not good, or its folder is that of another file.
        """
        self.path = path
        self.flags = {name: value for name, value in flags.items() if name != "output_dir"}
        self.output_dir = Path(flags.get("output_dir") or "runs")
        self.directory = self.output_dir / path.stem
        self.entries = read_config_file(path, self.flags)
        self._refuse_folder_of_another_file()

    def run_directory(self, entry: Entry) -> Path:
        """Return where an entry runs."""
        return self.directory / entry.folder

    def entry(self, label: str) -> Entry:
        """Return the entry that a user named, such as `3`, or `3:1` for seed 1 of entry 3.

        Raises:
            ConfigError: there is none.
        """
        by_label = {entry.label: entry for entry in self.entries}
        if label in by_label:
            return by_label[label]
        seeds = [name for name in by_label if name.startswith(f"{label}:")]
        known = ", ".join(listed(seeds or list(by_label)))
        hint = f"it has seeds: {known}" if seeds else f"its entries are {known}"
        raise ConfigError(f"--resume-id: there is no entry {shown(label)} in {self.path}; {hint}")

    def unclaimed(self) -> Iterator[Entry]:
        """Yield the entries that nobody has claimed, looking anew before each."""
        for entry in self.entries:
            if not self.run_directory(entry).exists():
                yield entry

    @contextlib.contextmanager
    def claim(self, entry: Entry, *, abandoned: bool = False) -> Iterator[bool]:
        """Make an entry's folder; tell whether this process did, rather than another.

        A folder in which no run was begun when the context ends, because the run turned out to be impossible, is
        removed again.

        Args:
            entry: the entry.
            abandoned: whether its folder may be there, as a process that was killed before it began the run left it.

        Raises:
            RunDirectoryError: it cannot be made.
        """
        directory = self.run_directory(entry)
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            directory.mkdir(exist_ok=abandoned)
        except FileExistsError:
            yield False
            return
        except OSError as error:
            raise RunDirectoryError(f"--output-dir: {directory} cannot be made: {error}") from error
        try:
            yield True
        finally:
            with contextlib.suppress(OSError):  # it is not empty: the run was begun
                directory.rmdir()

    def _refuse_folder_of_another_file(self) -> None:
        """Raise where the runs in the folder are those of another file of the same name, which is still there."""
        begun = (self.run_directory(entry) for entry in self.entries if _is_begun(self.run_directory(entry)))
        first = next(begun, None)
        if first is None:
            return
        named = Path(_origin(first).get("config_file", self.path))
        try:
            is_another = named.is_file() and not named.samefile(self.path)
        except OSError:  # it lies where this user may not look
            return
        if is_another:
            raise ConfigError(
                f"{self.path}: {self.directory} holds the runs of another config file of that name, {named}. Rename "
                "this one, or send its runs elsewhere with --output-dir."
            )

    def changes(self, entry: Entry) -> list[str]:
        """Return what an entry was begun with and now is otherwise, one line each: what it was begun with counts.

        That is what the file says of it, and flags where any are given now.
        """
        origin = _origin(self.run_directory(entry))
        if not origin:
            return []
        written = _differences(origin.get("written", entry.written), entry.written, "in the config file")
        flags = _differences(origin.get("overrides", {}), self.flags, "on the command line")
        return written + (flags if self.flags else [])

    def standing(self, entry: Entry) -> Standing:
        """Return how an entry stands."""
        directory = self.run_directory(entry)
        if not directory.exists():
            return Standing("waiting")
        status = read_status(directory)
        if status is None:
            return Standing("claimed" if _claimed_just_now(directory) else "stale")
        return Standing(
            state=_state(directory, status),
            reason=str(status.get("reason", "")),
            total_steps=int(status.get("total_steps", 0)),
            run_num_timesteps=int(status.get("run_num_timesteps", 0)),
            heartbeat_age=heartbeat_age(directory),
            returns=_latest_returns(directory / "metrics.jsonl"),
        )


def _state(directory: Path, status: Mapping[str, Any]) -> EntryState:
    state = status.get("state")
    if state in {"interrupted", "failed", "finished"}:
        return cast("EntryState", state)
    if not is_live(directory, status):
        return "stale"
    return "running" if _is_begun(directory) else "claimed"


def _origin(directory: Path) -> Mapping[str, Any]:
    """Return what a run's record says of the config file that it was begun from; nothing where it says nothing."""
    try:
        origin = read_record(directory).get("queue")
    except RunDirectoryError:  # who goes on with that run is told
        return {}
    return origin if isinstance(origin, dict) else {}


def _differences(begun: Mapping[str, Any], now: Mapping[str, Any], where: str) -> list[str]:
    def told(settings: Mapping[str, Any], name: str) -> str:
        return repr(settings[name]) if name in settings else "not set"

    return [
        f"{name} was changed {where}: it is {told(now, name)}, and the run goes on with {told(begun, name)}"
        for name in {**begun, **now}
        if (name in begun, begun.get(name)) != (name in now, now.get(name))
    ]


def _is_begun(directory: Path) -> bool:
    return (directory / "run.json").exists()


def _claimed_just_now(directory: Path) -> bool:
    """Tell whether a folder without a status may be one that a process has just made."""
    age = seconds_since_change(directory)
    return not _is_begun(directory) and age is not None and age < STALE_SECONDS


def _latest_returns(path: Path) -> dict[int, float]:
    """Return the latest evaluation return of each task in the last part of a metrics file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return {}
    returns: dict[int, float] = {}
    for line in lines:
        with contextlib.suppress(ValueError, KeyError):  # the first line may be cut
            row = json.loads(line)
            if row["name"].startswith("eval_reward/"):
                returns[int(row["name"].partition("/")[2])] = float(row["value"])
    return dict(sorted(returns.items()))
