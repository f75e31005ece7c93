"""`crl eval`: evaluates a checkpoint of a run, and films it."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from crl_core.errors import CrlError
from crl_core.experiment_names import file_name

__all__ = ["eval_"]

_log = logging.getLogger(__name__)


@click.command("eval")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--checkpoint", metavar="NAME", help="Total steps, or cycle<c>_task<t> for a task's end.  [default: the newest]"
)
@click.option(
    "--task", "tasks", multiple=True, metavar="ID", help="May be repeated.  [default: all that the run evaluates]"
)
@click.option("--episodes", type=click.IntRange(min=1), help="Of each task.  [default: as many as in the run]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Gives the same episodes again.")
@click.option(
    "--video",
    type=click.Path(path_type=Path),
    help="Film one more episode: a .mp4 or .gif, for each of several tasks one with its name added.",
)
@click.option("--fps", type=click.FloatRange(min=1, max=100), help="Pictures per second.  [default: the environment's]")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Write the JSON to this file instead of showing it.",
)
@click.option("--device", help="Where the network lives, instead of where the run had it.")
def eval_(
    run: Path,
    *,
    checkpoint: str | None,
    tasks: Sequence[str],
    episodes: int | None,
    seed: int,
    video: Path | None,
    fps: float | None,
    output: Path | None,
    device: str | None,
) -> None:
    """Evaluate a checkpoint of the run in the directory RUN; show every episode's return as JSON.

    The run may be going on; nothing of it is changed. Games are whole and real, as in the run's own evaluations.
    """
    # Everything below imports torch.
    from rich.console import Console

    from crl_core import checkpoint_evaluation as evaluation
    from crl_core.film import check_video, write_video
    from crl_core.launch import share_out_cores
    from crl_core.logs import RunLog
    from crl_core.observers.progress import ProgressObserver
    from crl_core.resume import read_run
    from crl_core.runners.hangs import HangWatch

    console = Console(stderr=True, emoji=False)
    with RunLog(console):
        plan = read_run(run, device=device).plan
        path = evaluation.choose_checkpoint(run, checkpoint)
        chosen = evaluation.choose_tasks(plan, tasks, episodes=episodes)
        _check_outputs(run, output, video, fps)
        if video is not None:
            check_video(video)
        videos = {} if video is None else _of_tasks(video, {i: task.id for i, task in chosen.items()})
        _log.info("checkpoint: %s, %s", path.name, share_out_cores(plan))
        with evaluation.loaded_policy(plan, path) as policy, HangWatch(beat=lambda: None, tell=_tell):
            progress = ProgressObserver(console, plan.experiment.model_copy(update={"tasks": tuple(chosen.values())}))
            try:
                played = evaluation.evaluate_tasks(policy, chosen, seed=seed, on_progress=progress.evaluation_progress)
            finally:
                progress.close()
            found = {
                "run": str(run),
                "policy": plan.policy.spec.name,
                "experiment": plan.config.experiment,
                "checkpoint": path.name,
                "seed": seed,
                "tasks": evaluation.results(chosen, played),
            }
            _give_out(json.dumps(found, indent=1) + "\n", output)  # before films, which may fail
            for index, file in videos.items():
                with evaluation.film_task(policy, index, chosen[index], seed=seed) as film:
                    write_video(file, film, frames_per_second=fps or film.frames_per_second)
                assert film.episode is not None, "a film is of a whole episode"
                returned = f"return {film.episode.episode_return:g}, {film.episode.length} steps"
                console.print(f"filmed: {file} ({returned})", highlight=False, soft_wrap=True, markup=False)


def _check_outputs(run: Path, output: Path | None, video: Path | None, fps: float | None) -> None:
    """Check what is to be written before anything is played."""
    if fps is not None and video is None:
        raise click.UsageError("--fps is the speed of a --video; name one")
    if output is not None and not os.access(output.absolute().parent, os.W_OK):
        is_there = output.absolute().parent.is_dir()
        problem = "nothing can be written into" if is_there else "there is no directory"
        raise click.UsageError(f"--output: {problem} {output.absolute().parent}")
    for option, path in (("--output", output), ("--video", video)):
        if path is not None and run.resolve() in path.resolve().parents:
            raise click.UsageError(f"{option}: {path} lies in the run's own directory; name a file elsewhere")


def _tell(failure: CrlError) -> None:
    click.echo(f"\nError: {failure}", err=True)


def _give_out(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        sys.stdout.write(text)  # it took long to compute
        raise click.ClickException(f"--output: {output} cannot be written: {error.strerror}") from error
    click.echo(f"written: {output}", err=True)


def _of_tasks(video: Path, tasks: Mapping[int, str]) -> dict[int, Path]:
    """Return where each task's video goes: where there are several, its id stands in the name, or else its index."""
    if len(tasks) == 1:
        return dict.fromkeys(tasks, video)
    names = {index: file_name(task) for index, task in tasks.items()}
    distinct = len(set(names.values())) == len(names)
    return {i: video.with_name(f"{video.stem}_{name if distinct else i}{video.suffix}") for i, name in names.items()}
