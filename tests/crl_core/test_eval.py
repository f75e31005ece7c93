"""`crl eval` on the real command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crl_core.cli.main import main
from crl_core.film import VideoError

Crl = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return the directory of a finished run."""
    directory = tmp_path / "run"
    options = ["--policy=random", "--experiment=tutorial", "--num-timesteps=60", "--continual-eval-num-returns=2"]
    call("run", *options, f"--output-dir={directory}")
    capsys.readouterr()
    return directory


def call(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    return int(ended.value.code or 0)


def files(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def test_every_return_is_shown_and_the_run_left_alone(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(run)
    assert call("eval", run, "--episodes", "3") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["checkpoint"] == "272"
    assert set(shown["tasks"]) == {"catch", "mirrored_catch"}
    for figures in shown["tasks"].values():
        assert len(figures["returns"]) == len(figures["lengths"]) == 3
        assert figures["mean_return"] == pytest.approx(sum(figures["returns"]) / 3)
    assert files(run) == before


def test_the_same_seed_gives_the_same_returns(run: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / f"{index}.json" for index in range(3)]
    for output, seed in zip(outputs, ("1", "1", "2"), strict=True):
        assert call("eval", run, "--task", "catch", "--episodes", "20", "--seed", seed, "--output", output) == 0
    first, second, other = (json.loads(output.read_text())["tasks"]["catch"]["returns"] for output in outputs)
    assert first == second
    assert first != other


def test_a_tasks_end_is_evaluated_by_its_name(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("eval", run, "--checkpoint", "cycle0_task0", "--task", "catch") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["checkpoint"] == "cycle0_task0"
    assert len(shown["tasks"]["catch"]["returns"]) == 2  # as many as in the run


def test_one_video_for_each_task(run: Path, tmp_path: Path) -> None:
    assert call("eval", run, "--video", tmp_path / "film.gif") == 0
    assert {path.name for path in tmp_path.glob("*.gif")} == {"film_catch.gif", "film_mirrored_catch.gif"}
    assert call("eval", run, "--task", "catch", "--video", tmp_path / "one.gif") == 0
    assert (tmp_path / "one.gif").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--checkpoint", "27"], "has no checkpoint '27'. Did you mean '272'? It has: 136, 272, cycle0_task0"),
        (["--task", "cach"], "has no task 'cach'. Did you mean 'catch'?"),
        (["--episodes", "0"], "--episodes"),
        (["--seed", "-1"], "--seed"),
        (["--video", "film.avi"], "should end in .mp4 or .gif"),
        (["--output", "missing/out.json"], "--output: there is no directory"),
        (["--device", "cuda:99"], "cuda:99"),
        (["--fps", "5"], "--fps is the speed of a --video"),
    ],
)
def test_mistakes_get_one_message(
    run: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("eval", run, *options) != 0
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_what_is_no_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("eval", tmp_path) == 2
    assert "holds no run.json" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "checkpoints/272/policy.pt").write_bytes(b"damaged")
    assert call("eval", run) == 2
    assert "272 cannot be read" in capsys.readouterr().err


def test_an_output_that_is_a_directory_is_refused_before_anything_is_played(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("eval", run, "--output", tmp_path) == 2
    error = capsys.readouterr().err
    assert "--output" in error
    assert "evaluating" not in error


def test_returns_are_given_out_although_a_film_fails(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise VideoError("no film")

    monkeypatch.setattr("crl_core.film.write_video", refuse)
    assert call("eval", run, "--task", "catch", "--video", tmp_path / "film.gif") == 2
    shown = capsys.readouterr()
    assert len(json.loads(shown.out)["tasks"]["catch"]["returns"]) == 2
    assert "no film" in shown.err


@pytest.mark.parametrize("options", [["--output", "run.json"], ["--task", "catch", "--video", "videos/film.gif"]])
def test_nothing_is_written_into_the_run(run: Path, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    before = files(run)
    *others, name = options
    assert call("eval", run, *others, run / name) == 2
    assert "lies in the run's own directory" in capsys.readouterr().err
    assert files(run) == before
