"""`Inspection`: films and figures of a network, made now and then during training, which is the same without them."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from crl_core.errors import RunDirectoryError
from crl_core.film import Film, Picture, write_video
from crl_core.observers.base import Moment, Observer
from crl_core.plan import RunPlan
from crl_core.plasticity import measure_plasticity, sample_observations
from crl_core.policy import Policy
from crl_core.rollout import Rollout
from crl_core.run_directory import writing
from crl_core.seeding import Purpose, seed_sequence
from crl_core.stopping import Interrupted

__all__ = ["Inspection", "remove_films_after"]

_log = logging.getLogger(__name__)

_MOST_PICTURES = 1000  # of a film, about a minute of Atari


class Inspection:
    """Looks at a policy in training, and tells observers what it saw."""

    def __init__(self, plan: RunPlan, policy: Policy[Any], observer: Observer, *, on_wait: Callable[[], None]) -> None:
        """Make an inspection.

        Args:
            plan: the run's.
            policy: what is looked at; it stays as it is.
            observer: what is told.
            on_wait: called again and again while a film is made; what it raises ends the run.
        """
        self._plan = plan
        self._policy = policy
        self._observer = observer
        self._on_wait = on_wait

    def film(self, at: Moment) -> None:
        """Film an episode of the task that is trained."""
        sequence = seed_sequence(self._plan.config.seed, Purpose.FILM, task=at.task, segment=at.step)
        video = self._plan.directory / "videos" / f"{at.step}_task{at.task}.gif"
        with writing(self._plan.directory):
            video.parent.mkdir(exist_ok=True)
        filmed = False
        with (
            self._going_on("this video"),
            Film(self._policy, self._plan.experiment.tasks[at.task], seed=sequence) as film,
        ):
            pictures = itertools.islice(self._waiting_for(film), _MOST_PICTURES)
            write_video(video, pictures, frames_per_second=film.frames_per_second)
            filmed = True
        if filmed:
            self._observer.filmed(at, video)

    def measure_plasticity(self, rollouts: Sequence[Rollout], at: Moment) -> None:
        """Measure the network on observations that were just learned from."""
        figures: dict[str, float] = {}
        with self._going_on("these figures of plasticity"):
            observations = sample_observations(rollouts)
            if len(observations):
                figures = measure_plasticity(self._policy, self._plan.experiment.tasks[at.task], observations)
            for name in [name for name, value in figures.items() if not math.isfinite(value)]:
                _log.warning("plasticity: %s is %s; the run goes on without it", name, figures.pop(name))
        self._observer.metrics(at, {f"plasticity/{name}": value for name, value in figures.items()})

    def _waiting_for(self, film: Film) -> Iterator[Picture]:
        for picture in film:
            self._on_wait()
            yield picture

    @contextlib.contextmanager
    def _going_on(self, without: str) -> Iterator[None]:
        """Tell what goes wrong with an inspection, which is no reason to end days of training."""
        try:
            yield
        except (Interrupted, RunDirectoryError):
            raise
        except Exception as error:  # noqa: BLE001  # a renderer or a network may fail in any way
            self._on_wait()  # which raises where it is training itself that cannot go on
            _log.warning("%s: %s; the run goes on without %s", type(error).__name__, error, without)


def remove_films_after(step: int, directory: Path) -> None:
    """Delete a run's films from beyond the checkpoint that it goes on from; they are made again."""
    for video in (directory / "videos").glob("*_task*.gif"):
        if int(video.name.partition("_")[0]) > step:
            video.unlink()
