"""One episode as pictures, and pictures as a video file.

Letters in shapes: H, W height and width.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from crl_core.errors import CrlError, EnvironmentFailure
from crl_core.policy import Policy
from crl_core.runners.base import Episode
from crl_core.runners.loop import EnvironmentLoop
from crl_core.seeding import torch_seed
from crl_core.task import Task

__all__ = ["VIDEO_SUFFIXES", "Film", "Picture", "VideoError", "check_packages", "check_video", "write_video"]

VIDEO_SUFFIXES = (".mp4", ".gif")

_FRAMES_PER_SECOND = 30  # where the environment does not say
_SMALLEST = 160  # pixels; smaller pictures, such as observations, are enlarged
_COLOURS = 3
_GIF_FRAMES_PER_SECOND = 50  # which browsers show; a faster film keeps one picture of several

Picture = npt.NDArray[np.uint8]


class VideoError(CrlError):
    """A video cannot be made."""


class Film:
    """An episode of a task, played by a copy of a policy as an evaluation plays it. Iterating plays it, once.

    A context manager, which closes the environment.

    Attributes:
        frames_per_second: how fast it is to be shown.
        episode: what it returned; None until it is over.
    """

    def __init__(self, policy: Policy[Any], task: Task, *, seed: np.random.SeedSequence) -> None:
        """Make the environment; nothing is played yet.

        Raises:
            EnvironmentFailure: it failed.
        """
        self._task = task
        acting = policy.acting_copy(seed=torch_seed(seed))
        self._loop = EnvironmentLoop(acting, task, seed=seed, num_envs=1, eval_mode=True, filmed=True)
        self.frames_per_second = float(self._loop.envs.metadata.get("render_fps") or _FRAMES_PER_SECOND)
        self.episode: Episode | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the environment."""
        self._loop.close()

    def __iter__(self) -> Iterator[Picture]:
        """Yield a picture uint8 `[H, W, 3]` after the reset and after every step.

        Raises:
            VideoError: the environment shows no pictures.
            EnvironmentFailure: it failed, or its episode went on past `eval_max_steps`.
        """
        loop = self._loop
        for _ in range(self._task.eval_max_steps + 1):
            yield self._picture(loop.observations)
            step = loop.step(torch.from_numpy(loop.observations))
            if step.episodes:
                (self.episode,) = step.episodes
                yield self._picture(loop.observations)
                return
        raise EnvironmentFailure(f"task '{self._task.id}': an episode went on past eval_max_steps")

    def _picture(self, observations: npt.NDArray[Any]) -> Picture:
        try:
            rendered = self._loop.render() if self._loop.envs.render_mode == "rgb_array" else None
        except Exception as error:  # often a package for drawing that is not installed; the message names it
            raise VideoError(
                f"task '{self._task.id}' cannot be filmed: render() raised {type(error).__name__}: {error}"
            ) from error
        if rendered is not None and len(rendered):
            return self._checked(rendered[0])
        shown = observations[0]
        if shown.dtype != np.uint8 or shown.ndim != _COLOURS:
            raise VideoError(
                f"task '{self._task.id}' cannot be filmed: its environment neither renders nor shows images"
            )
        newest = shown if len(shown) == _COLOURS else shown[-1:]  # of several grey frames the last
        picture = np.moveaxis(np.broadcast_to(newest, (_COLOURS, *shown.shape[1:])), 0, -1)
        times = -(-_SMALLEST // max(picture.shape[:2]))
        return picture.repeat(times, axis=0).repeat(times, axis=1)

    def _checked(self, rendered: Any) -> Picture:
        picture: Picture = np.asarray(rendered)
        if picture.dtype != np.uint8 or picture.ndim != _COLOURS or picture.shape[-1] != _COLOURS:
            raise VideoError(
                f"task '{self._task.id}' cannot be filmed: render() returned {picture.dtype} "
                f"{list(picture.shape)} where pictures are uint8 [height, width, 3]"
            )
        return picture


def check_video(path: Path) -> None:
    """Check that a video could be written, before anything is played for it.

    Raises:
        VideoError: its name ends in something else than .mp4 and .gif, its directory is not there, or a package is not.
    """
    if path.suffix not in VIDEO_SUFFIXES:
        raise VideoError(f"{path}: a video's name should end in {' or '.join(VIDEO_SUFFIXES)}")
    if not path.absolute().parent.is_dir():
        raise VideoError(f"{path}: there is no directory {path.absolute().parent}")
    check_packages()


def check_packages() -> None:
    """Check that what writes videos is installed.

    Raises:
        VideoError: a package is not.
    """
    try:
        import av  # noqa: F401  # only whether it can be imported counts
        import PIL.Image  # noqa: F401  # only whether it can be imported counts
    except ImportError as error:
        raise VideoError(
            f"videos need a package that is not installed: pip install 'crl-core[video]' ({error})"
        ) from error


def write_video(path: Path, pictures: Iterable[Picture], *, frames_per_second: float) -> None:
    """Write pictures of one size as a video, which is there whole or not at all.

    Raises:
        VideoError: it cannot be written.
    """
    check_video(path)
    unfinished = path.with_name(f".{path.stem}.unfinished{path.suffix}")
    write = _write_gif if path.suffix == ".gif" else _write_mp4
    try:
        write(unfinished, iter(pictures), frames_per_second)
        unfinished.replace(path)
    except (OSError, ValueError, RuntimeError) as error:  # what files and encoders raise
        raise VideoError(f"{path} cannot be written: {type(error).__name__}: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _write_mp4(path: Path, pictures: Iterator[Picture], frames_per_second: float) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(frames_per_second).limit_denominator(1000))
        stream.pix_fmt = "yuv420p"  # what every player knows
        first = _with_even_sides(next(pictures))  # which this format asks for
        stream.height, stream.width = first.shape[:2]
        for picture in itertools.chain([first], map(_with_even_sides, pictures)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def _write_gif(path: Path, pictures: Iterator[Picture], frames_per_second: float) -> None:
    from PIL import Image

    every = math.ceil(frames_per_second / _GIF_FRAMES_PER_SECOND)
    duration = 10 * round(100 * every / frames_per_second)  # milliseconds; GIF counts in hundredths of a second
    images = map(Image.fromarray, itertools.islice(pictures, 0, None, every))
    next(images).save(path, save_all=True, append_images=images, duration=duration, loop=0)


def _with_even_sides(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
