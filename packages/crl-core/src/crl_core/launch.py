"""`launch`: makes the run directory and runs a plan in it, watched, and ended on request."""

from __future__ import annotations

import logging
from typing import Any

from rich.console import Console

from crl_core.logs import RunLog
from crl_core.observers.base import Observers
from crl_core.observers.jsonl import JsonlObserver
from crl_core.observers.progress import ProgressObserver
from crl_core.observers.summary import ReturnsSummary
from crl_core.observers.tensorboard import TensorBoardObserver
from crl_core.plan import RunPlan
from crl_core.run import Run
from crl_core.run_directory import Status, create_run_directory
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
    create_run_directory(plan.directory, plan.record())
    status = Status(plan.directory)
    summary = ReturnsSummary(plan.experiment)
    log.write_to(plan.directory / "log.txt")
    with StopRequest() as stop:
        _log.info("run directory: %s", plan.directory)
        _log.info("device: %s, seed: %d", plan.device, plan.config.seed)
        progress = ProgressObserver(console, plan.experiment)
        observers = Observers([JsonlObserver(plan.directory), TensorBoardObserver(plan.directory), summary, progress])
        where: dict[str, Any] = {}
        try:
            run = Run(plan, observers, status, stop)
            try:
                run.train()
            finally:
                where = run.where()
                observers.close()
        except Interrupted as request:
            status.end("interrupted", str(request), where)
            _log.info("interrupted at step %s; the run was saved", f"{where['total_steps']:,}")
            raise
        except BaseException as error:
            status.end("failed", f"{type(error).__name__}: {error}", where)
            raise
        status.end("finished", "", where)
        console.print(summary.table())
        _log.info("finished: %s", plan.directory)
