"""`launch`: makes the run directory and runs a plan in it, watched, and ended on request."""

from __future__ import annotations

import contextlib
import logging

from rich.console import Console

from crl_core.devices import limit_threads
from crl_core.errors import RunDirectoryError
from crl_core.logs import RunLog
from crl_core.observers.base import Observers
from crl_core.observers.jsonl import JsonlObserver
from crl_core.observers.progress import ProgressObserver
from crl_core.observers.summary import ReturnsSummary
from crl_core.observers.tensorboard import TensorBoardObserver
from crl_core.plan import RunPlan
from crl_core.run import Run
from crl_core.run_directory import State, Status, create_run_directory
from crl_core.stopping import Interrupted, StopRequest

__all__ = ["launch"]

_log = logging.getLogger(__name__)


def launch(plan: RunPlan, console: Console, log: RunLog) -> None:
    """Run a plan.

    Args:
        plan: what to run; its directory is made.
        console: where progress is shown.
        log: what log.txt is added to.

    Raises:
        Interrupted: the user asked the run to end; it was saved.
        CrlError: the run could not go on; its last checkpoint is good.
    """
    policy = plan.make_policy()
    with StopRequest() as stop:
        create_run_directory(plan.directory, plan.record())
        status = Status(plan.directory)
        log.write_to(plan.directory / "log.txt")
        _log.info("run directory: %s", plan.directory)
        _log.info("device: %s, torch threads: %d, seed: %d", plan.device, limit_threads(), plan.config.seed)
        summary = ReturnsSummary(plan.experiment)
        progress = ProgressObserver(console, plan.experiment)
        observers = Observers([JsonlObserver(plan.directory), TensorBoardObserver(plan.directory), summary, progress])
        run = Run(plan, policy, observers, status, stop)
        try:
            try:
                run.train()
            finally:
                observers.close()
        except Interrupted as request:
            status.end("interrupted", str(request), run.where())
            _log.info("interrupted at step %s; the run was saved", f"{run.where()['total_steps']:,}")
            raise
        except BaseException as error:
            log.write_traceback(error)
            state: State = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            with contextlib.suppress(OSError):  # what is wrong with the disk is told by the error itself
                status.end(state, f"{type(error).__name__}: {error}", run.where())
            if isinstance(error, OSError):
                raise RunDirectoryError(f"the run directory {plan.directory} cannot be written: {error}") from error
            raise
        status.end("finished", "", run.where())
        console.print(summary.table())
        _log.info("finished: %s", plan.directory)
