"""Films during training: where they go, and that training is the same with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.crl_core.small_runs import catch_experiment, make_plan
from tests.crl_core.small_runs import run as run_plan

from crl_core import film
from crl_core.cli.main import main
from crl_core.film import VideoError
from crl_core.inspection import remove_films_after

OPTIONS = ["--policy=random", "--experiment=tutorial", "--num-timesteps=300", "--continual-eval-num-returns=1"]


def run(directory: Path, *options: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["run", *OPTIONS, f"--output-dir={directory}", *options])
    return int(ended.value.code or 0)


def test_films_lie_in_videos_and_in_tensorboard(tmp_path: Path) -> None:
    assert run(tmp_path / "run", "--render-freq=200") == 0
    videos = {int(path.name.partition("_")[0]): path for path in (tmp_path / "run/videos").iterdir()}
    assert sorted(step // 200 for step in videos) == list(range(1, len(videos) + 1))
    assert {path.name.partition("_")[2] for path in videos.values()} == {"task0.gif", "task1.gif"}
    first = videos[min(videos)]
    with Image.open(first) as gif:
        assert gif.n_frames > 1
        assert gif.size == (162, 162)
    accumulator = EventAccumulator(str(tmp_path / "run"), size_guidance={"images": 0})
    accumulator.Reload()
    images = [image for task in (0, 1) for image in accumulator.Images(f"video/{task}")]
    assert [image.step for image in images] == sorted(videos)
    assert images[0].encoded_image_string == first.read_bytes()


def test_training_is_the_same_with_films(tmp_path: Path) -> None:
    run_plan(make_plan(tmp_path / "with", catch_experiment(), render_freq=20))
    run_plan(make_plan(tmp_path / "without", catch_experiment()))
    assert len(list((tmp_path / "with/videos").iterdir())) == 4
    assert not (tmp_path / "without/videos").exists()
    logs = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("with", "without")]
    assert logs[0] == logs[1]
    assert '"loss"' in logs[0]  # it learns


def test_films_from_beyond_a_checkpoint_are_deleted(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    for name in ("40_task0.gif", "50_task0.gif", "120_task1.gif", "mine.gif"):
        (tmp_path / "videos" / name).write_bytes(b"")
    remove_films_after(50, tmp_path)
    assert {path.name for path in (tmp_path / "videos").iterdir()} == {"40_task0.gif", "50_task0.gif", "mine.gif"}
    remove_films_after(-1, tmp_path / "without")


def test_a_task_that_cannot_be_filmed_is_told_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: object, observations: object) -> np.ndarray:
        raise VideoError("task 'catch' cannot be filmed: it is shy")

    monkeypatch.setattr(film.Film, "_picture", refuse)
    assert run(tmp_path / "run", "--render-freq=200") == 0
    assert "it is shy; the run goes on without this video" in " ".join(capsys.readouterr().out.split())
    assert list((tmp_path / "run/videos").iterdir()) == []


def test_a_missing_package_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise VideoError("videos need a package")

    monkeypatch.setattr("crl_core.launch.check_packages", missing)
    assert run(tmp_path / "run", "--render-freq=200") == 2
    assert "videos need a package" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
