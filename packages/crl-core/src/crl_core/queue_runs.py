"""Running a queue: each entry from its plan to its end, and going on with entries that were stopped or killed."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from rich.console import Console

from crl_core.config_file import Entry
from crl_core.errors import CrlError, RunBusyError
from crl_core.experiment_source import build_experiment
from crl_core.launch import launch
from crl_core.logs import RunLog
from crl_core.plan import RunPlan, plan_run
from crl_core.queue import EntryState, Queue
from crl_core.resume import read_run
from crl_core.run_directory import Status
from crl_core.sessions import STALE_SECONDS, begin_session

__all__ = ["begin_or_go_on", "check_experiments", "go_on", "plan_entry", "run_entries", "run_entry"]

_log = logging.getLogger(__name__)

_RETRIED: tuple[EntryState, ...] = ("stale", "failed", "interrupted")


def check_experiments(queue: Queue) -> None:
    """Build every experiment once, so that a mistake in the last entry is told before the first one runs.

    Raises:
        CrlError: one cannot be built; names the entry.
    """
    first_uses = {entry.resolved.run.experiment: entry for entry in reversed(queue.entries)}
    for name, entry in first_uses.items():
        with _named(queue, entry):
            build_experiment(name)


def plan_entry(queue: Queue, entry: Entry) -> RunPlan:
    """Decide everything about an entry's run and check it against this machine; nothing is written.

    Raises:
        CrlError: the run could not work; names the entry.
    """
    for warning in entry.resolved.warnings:
        _log.warning(warning)
    config = entry.resolved.run.model_copy(update={"output_dir": str(queue.run_directory(entry))})
    origin = {
        "config_file": str(queue.path.absolute()),
        "entry": entry.label,
        "written": dict(entry.written),
        "overrides": dict(queue.flags),
    }
    with _named(queue, entry):
        return plan_run(config, entry.resolved.policy, queue=origin)


@contextlib.contextmanager
def _named(queue: Queue, entry: Entry) -> Iterator[None]:
    """Say of what is wrong which entry it is about."""
    try:
        yield
    except CrlError as error:
        raise type(error)(f"{queue.path}: entry {entry.label}: {error}") from error


def run_entry(queue: Queue, entry: Entry, console: Console, *, abandoned: bool = False) -> bool:
    """Claim an entry and run it; tell whether it was still to be had.

    Args:
        queue: the queue.
        entry: its entry.
        console: where progress is shown.
        abandoned: see `Queue.claim`.

    Raises:
        Interrupted: the user asked the run to end.
        CrlError: the run could not be begun, or could not go on.
    """
    directory = queue.run_directory(entry)
    # Claimed before the plan is made, which takes seconds in which another process could take it.
    with RunLog(console) as log, queue.claim(entry, abandoned=abandoned) as claimed:
        if claimed:
            _log.info("entry %s of %s", entry.label, queue.path)
            with begin_session(directory) as session:
                status = Status(directory, session=session)  # from now on everybody sees whose it is
                launch(plan_entry(queue, entry), console, log, status=status)
        return claimed


def begin_or_go_on(queue: Queue, entry: Entry, console: Console) -> None:
    """Run an entry that nobody has claimed, or go on with one that was.

    Raises:
        Interrupted: the user asked the run to end.
        CrlError: the run could not be begun, or could not go on.
    """
    if queue.standing(entry).state == "waiting" and run_entry(queue, entry, console):
        return
    go_on(queue, entry, console)


def run_entries(queue: Queue, console: Console, *, run_all: bool, retry_failed: bool) -> int:
    """Run entries one after the other.

    Args:
        queue: the runs.
        console: where progress is shown.
        run_all: whether to go on after the first, whether it failed or not, until none is left.
        retry_failed: whether to go on with entries that failed, were stopped or killed, not to begin new ones.

    Returns:
        The exit code: 1 when some run failed and others were gone on with, else 0.

    Raises:
        Interrupted: the user asked the run to end.
        CrlError: a run could not be begun, or could not go on; not with `run_all`.
    """
    entries = _resumable(queue) if retry_failed else queue.unclaimed()
    begin = go_on if retry_failed else run_entry
    ran = failed = 0
    for entry in entries:
        try:
            ran += begin(queue, entry, console)
        except RunBusyError:  # another process was faster
            if not run_all:
                raise
            console.print(f"entry {entry.label} of {queue.path} was taken by another process", markup=False)
        except CrlError as error:
            if not run_all:
                raise
            failed += 1
            where = f"{queue.path}: entry {entry.label}: "
            text = f"Error: {where}{str(error).removeprefix(where)}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)
        if ran and not run_all:
            return 0
    text = f"{queue.path}: {_outcome(ran, failed, retry_failed=retry_failed)}; they are in {queue.directory}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    return 1 if failed else 0


def _outcome(ran: int, failed: int, *, retry_failed: bool) -> str:
    if ran or failed:
        return f"{ran} finished here, {failed} ended with an error"
    return "no run of it is to be gone on with" if retry_failed else "every run of it has been started"


def _resumable(queue: Queue) -> Iterator[Entry]:
    """Yield the entries that were begun and are neither running nor finished, looking anew before each."""
    for entry in queue.entries:
        if queue.standing(entry).state in _RETRIED:
            yield entry


def go_on(queue: Queue, entry: Entry, console: Console) -> bool:
    """Go on with an entry's run from its newest checkpoint, as it was recorded; tell whether there was anything to do.

    Raises:
        Interrupted: the user asked the run to end.
        CrlError: it cannot go on.
    """
    directory = queue.run_directory(entry)
    standing = queue.standing(entry)
    if standing.state == "finished":
        console.print(f"entry {entry.label} of {queue.path} is finished; there is nothing to go on with", markup=False)
        return False
    if standing.state == "claimed":
        raise RunBusyError(
            f"{directory} was claimed a moment ago by a process that is about to begin its run. If that one is gone, "
            f"try again in {STALE_SECONDS:.0f} s."
        )
    if not (directory / "run.json").exists():
        return run_entry(queue, entry, console, abandoned=True)
    with RunLog(console) as log:
        recorded = read_run(directory)
        for change in (*recorded.changes, *queue.changes(entry)):
            _log.warning("since the run was begun, %s", change)
        launch(recorded.plan, console, log, resume=True)
    return True
