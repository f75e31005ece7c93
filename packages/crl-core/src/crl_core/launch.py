"""`launch`: makes the run directory and runs a plan in it, watched, and ended on request."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import math
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import click
import numpy as np  # noqa: F401  # before torch, whose own import of it swallows a Ctrl-C and goes on with half of it
import torch
from rich.console import Console

from crl_core.cores import environment_threads, torch_threads, usable_cores
from crl_core.errors import EnvironmentFailure, RunDirectoryError
from crl_core.film import check_packages
from crl_core.inspection import remove_films_after
from crl_core.logs import RunLog
from crl_core.observers.base import Observer, Observers
from crl_core.observers.jsonl import JsonlObserver
from crl_core.observers.progress import ProgressObserver
from crl_core.observers.summary import ReturnsSummary
from crl_core.observers.tensorboard import TensorBoardObserver
from crl_core.plan import RunPlan
from crl_core.plugins import registry
from crl_core.policy import Policy
from crl_core.resume import restore
from crl_core.run import Run
from crl_core.run_directory import State, Status, make_run_directory, write_record, writing
from crl_core.runners.hangs import HangWatch
from crl_core.sessions import begin_session
from crl_core.stopping import Interrupted, StopRequest

__all__ = ["launch", "share_out_cores"]

_log = logging.getLogger(__name__)


def launch(plan: RunPlan, console: Console, log: RunLog, *, resume: bool = False, status: Status | None = None) -> None:
    """Run a plan.

    Args:
        plan: what to run; its directory is made.
        console: where progress is shown.
        log: what log.txt is added to.
        resume: whether to go on with the run in the plan's directory, from its newest checkpoint.
        status: of a new run, the status of its session, where that was begun already.

    Raises:
        Interrupted: the user asked the run to end; it was saved.
        CrlError: the run could not go on; its last checkpoint is good.
    """
    if plan.config.render_freq is not None:
        check_packages()
    policy = plan.make_policy()
    with StopRequest() as stop, writing(plan.directory):
        status, state = _begin(plan, policy, resume=resume, status=status)
        log.write_to(plan.directory / "log.txt")
        _log.info("run directory: %s", plan.directory)
        _log.info("device: %s, seed: %d, %s", plan.device, plan.config.seed, share_out_cores(plan))
        summary = ReturnsSummary(plan.experiment)
        observers = Observers([*_logs(plan, state, resume=resume), summary, ProgressObserver(console, plan.experiment)])
        run = Run(plan, policy, observers, status, stop)
        if state is not None:
            run.load_state_dict(state)
            summary.read(plan.directory / "metrics.jsonl")
            _log.info("resumed at step %s", f"{run.where()['total_steps']:,}")
        status.tell(run.where())
        with _ending(plan, run, status, log):
            try:
                with _watched(plan, run, status):
                    run.train()
            finally:
                observers.close()
        console.print(summary.table())
        _log.info("finished: %s", plan.directory)
        _log.info("report on it, or on several: %s", _report_command(plan))


def share_out_cores(plan: RunPlan) -> str:
    """Give torch its threads; say who has how many."""
    shape = plan.experiment.observation_space.shape
    automatic = torch_threads(
        learns_while_collecting=plan.policy_config.learns_while_collecting,
        observation_values=math.inf if shape is None else math.prod(shape),
    )
    wanted = plan.config.torch_threads
    torch.set_num_threads(automatic if wanted == "auto" else wanted)
    if torch.get_num_threads() > usable_cores():
        _log.warning("--torch-threads: more threads than the %d cores only wait for each other", usable_cores())
    said = f"cores: {usable_cores()}, torch threads: {torch.get_num_threads()}"
    on_cpu = plan.device.type == "cpu"
    stepping = {
        environment_threads(learns_while_collecting=plan.policy_config.learns_while_collecting and on_cpu)
        if task.environment_threads == "auto"
        else task.environment_threads
        for task in plan.experiment.tasks
        if task.vectorization == "native"
    }
    return f"{said}, environment threads: {', '.join(map(str, sorted(stepping)))}" if stepping else said


def _begin(
    plan: RunPlan, policy: Policy[Any], *, resume: bool, status: Status | None
) -> tuple[Status, Mapping[str, Any] | None]:
    """Begin a session; return its status and, where the run goes on, the state of the checkpoint it goes on from."""
    if status is not None:
        write_record(plan.directory, plan.record())
        return status, None
    if not resume:
        make_run_directory(plan.directory)
    with begin_session(plan.directory) as session:
        state = restore(policy, plan.directory) if resume else None
        status = Status(plan.directory, session=session)
        if not resume:
            write_record(plan.directory, plan.record())
    return status, state


@contextlib.contextmanager
def _ending(plan: RunPlan, run: Run, status: Status, log: RunLog) -> Iterator[None]:
    """Record how the run ends."""
    try:
        yield
    except Interrupted as request:
        status.end("interrupted", str(request), run.where())
        _log.info("interrupted at step %s; the run was saved", f"{run.where()['total_steps']:,}")
        _log.info("go on with: %s", _resume_command(plan))
        raise
    except BaseException as error:
        log.write_traceback(error)
        state: State = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with contextlib.suppress(RunDirectoryError):  # what is wrong with the disk is told by the error itself
            status.end(state, f"{type(error).__name__}: {error}", run.where())
        raise
    status.end("finished", "", run.where())


def _watched(plan: RunPlan, run: Run, status: Status) -> HangWatch:
    """Return what shows that this process lives, and speaks for the main thread where that hangs in an environment."""

    def beat() -> None:
        with contextlib.suppress(RunDirectoryError):  # the main thread's to raise, at its own next sign
            status.beat(run.where)

    def tell(failure: EnvironmentFailure) -> None:
        text = f"{failure}. What was not saved is lost; go on with: {_resume_command(plan)}"
        click.echo(f"\nError: {text}", err=True)
        with contextlib.suppress(RunDirectoryError):
            status.end("failed", f"{type(failure).__name__}: {failure}", run.where())
        with contextlib.suppress(OSError), (plan.directory / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")
            faulthandler.dump_traceback(file)

    return HangWatch(beat=beat, tell=tell)


def _report_command(plan: RunPlan) -> str:
    command = f"crl report {shlex.quote(str(plan.directory))}"
    is_installed = any(entry.spec.name == "report" for entry in registry().commands())
    return command if is_installed else f"pip install crl-report && {command}"


def _resume_command(plan: RunPlan) -> str:
    return f"crl resume {shlex.quote(str(plan.directory))}"


def _logs(plan: RunPlan, state: Mapping[str, Any] | None, *, resume: bool) -> list[Observer]:
    """Return what logs the run, cut back to the checkpoint that it goes on from."""
    if not resume:
        return [JsonlObserver(plan.directory), TensorBoardObserver(plan.directory)]
    lengths = state["log_lengths"] if state is not None else {}
    step = state["schedule"]["total_steps"] if state is not None else -1
    remove_films_after(step, plan.directory)
    return [
        JsonlObserver(plan.directory, cut_to=lengths),
        TensorBoardObserver(plan.directory, cut_to=lengths, purge_after=step),
    ]
