"""Episodes as pictures, and pictures as files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import gymnasium
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from tests.crl_core.small_runs import guessing_policy

from crl_core.experiment_source import build_experiment
from crl_core.film import Film, VideoError, check_video, write_video
from crl_core.gymnasium_tasks import VectorTask

Picture = npt.NDArray[np.uint8]

SEED = np.random.SeedSequence(3)


def pictures(count: int, *, height: int = 33, width: int = 40) -> Iterator[Picture]:
    for index in range(count):
        yield np.full((height, width, 3), 40 * index, np.uint8)


class Drawn(gymnasium.Env[npt.NDArray[np.float32], np.int64]):
    """Counts to three, and draws the number as a shade of red."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012  # Gymnasium declares it so
    observation_space = gymnasium.spaces.Box(0, 3, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, *, broken: bool = False, grey: bool = False, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.broken, self.grey = broken, grey
        self.count = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.count = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.count += 1
        return np.full(1, self.count, np.float32), 1.0, self.count == 3, False, {}

    def render(self) -> Any:
        if self.broken:
            raise RuntimeError("no pen is installed")
        return np.tile(np.array([50 * self.count, 0, 0], np.float64 if self.grey else np.uint8), (20, 30, 1))


def drawn(**kwargs: Any) -> VectorTask:
    return VectorTask(id="drawn", env="tests.crl_core.test_film:Drawn", env_kwargs=kwargs, num_timesteps=10)


def test_an_environment_that_renders_is_filmed_as_it_does() -> None:
    with Film(guessing_policy(drawn()), drawn(), seed=SEED) as made:
        shown = list(made)
    assert made.frames_per_second == 50
    assert [picture[0, 0].tolist() for picture in shown] == [[0, 0, 0], [50, 0, 0], [100, 0, 0], [150, 0, 0]]
    assert made.episode is not None
    assert (made.episode.episode_return, made.episode.length) == (3.0, 3)


def test_what_keeps_an_environment_from_rendering_is_told() -> None:
    task = drawn(broken=True)
    message = r"task 'drawn' cannot be filmed: render\(\) raised RuntimeError: no pen is installed"
    with Film(guessing_policy(task), task, seed=SEED) as made, pytest.raises(VideoError, match=message):
        next(iter(made))


def test_pictures_of_another_kind_are_told() -> None:
    task = drawn(grey=True)
    message = r"render\(\) returned float64 \[20, 30, 3\] where pictures are uint8 \[height, width, 3\]"
    with Film(guessing_policy(task), task, seed=SEED) as made, pytest.raises(VideoError, match=message):
        next(iter(made))


def test_an_environment_that_only_shows_images_is_filmed_by_them_enlarged() -> None:
    task = build_experiment("tutorial").tasks[0]
    with Film(guessing_policy(task), task, seed=SEED) as made:
        shown = list(made)
    assert made.frames_per_second == 30
    assert shown[0].shape == (162, 162, 3)  # 6 x 6 pixels, each 27 x 27 times
    assert made.episode is not None
    assert len(shown) == made.episode.length + 1


def test_the_same_seed_films_the_same_episode() -> None:
    task = build_experiment("tutorial").tasks[0]
    films = []
    for _ in range(2):
        with Film(guessing_policy(task), task, seed=SEED) as made:
            films.append(np.array(list(made)))
    np.testing.assert_array_equal(films[0], films[1])


def test_what_shows_neither_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    task = VectorTask(id="pole", env="CartPole-v1", num_timesteps=10)
    monkeypatch.setattr(
        VectorTask, "make_filmed_envs", lambda self, seeds: self.make_envs(1, seeds=seeds, evaluation=True)
    )
    with (
        Film(guessing_policy(task), task, seed=SEED) as made,
        pytest.raises(VideoError, match="neither renders nor shows"),
    ):
        next(iter(made))


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_video_has_every_picture(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"film{suffix}"
    write_video(path, pictures(4), frames_per_second=10)
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert float(container.streams.video[0].average_rate) == 10
    assert len(frames) == 4
    assert [round(float(frame.mean()) / 40) for frame in frames] == [0, 1, 2, 3]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("frames_per_second", "kept", "milliseconds"), [(10, 6, 100), (15, 6, 70), (30, 6, 30), (60, 3, 30), (125, 2, 20)]
)
def test_a_gif_is_as_fast_as_it_can_tell(
    frames_per_second: float, kept: int, milliseconds: int, tmp_path: Path
) -> None:
    write_video(tmp_path / "film.gif", pictures(6), frames_per_second=frames_per_second)
    with Image.open(tmp_path / "film.gif") as gif:
        assert gif.n_frames == kept
        assert gif.info["duration"] == milliseconds


def test_an_mp4_is_as_slow_as_it_is_asked_to_be(tmp_path: Path) -> None:
    write_video(tmp_path / "film.mp4", pictures(6), frames_per_second=2.5)
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert float(container.streams.video[0].average_rate) == 2.5


def test_a_film_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> Iterator[Picture]:
        yield from pictures(2)
        raise RuntimeError("broken")

    with pytest.raises(VideoError, match="broken"):
        write_video(tmp_path / "film.mp4", broken(), frames_per_second=10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("film.avi", r"should end in \.mp4 or \.gif"),
        ("missing/film.mp4", "there is no directory"),
        ("film", "should end"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is_played(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=message):
        check_video(tmp_path / name)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real: Any = __import__

    def without_av(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "av":
            raise ImportError("No module named 'av'")
        return real(name, *arguments, **options)

    monkeypatch.setattr("builtins.__import__", without_av)
    with pytest.raises(VideoError, match=r"pip install 'crl-core\[video\]'"):
        check_video(tmp_path / "film.mp4")
