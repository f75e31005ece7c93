"""`crl report` as users call it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crl_core.cli.main import main

A = {0: 0.0, 10: 5.0, 20: 10.0, 30: 6.0, 40: 4.0}
B = {0: 1.0, 10: 1.0, 20: 3.0, 30: 8.0, 40: 9.0}


def report(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["report", *map(str, arguments)])
    return int(ended.value.code or 0)


def test_everything_is_written(make_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run("study/0", {0: A, 1: B})
    make_run("study/1", {0: A, 1: B}, policy="ppo")
    output = tmp_path / "made/report"
    assert report(tmp_path / "study", "--output", output) == 0
    assert {str(path.relative_to(output)) for path in output.rglob("*.*")} == {
        "csv/average_returns.csv",
        "csv/curves.csv",
        "csv/final_returns.csv",
        "csv/forgetting_clear_cycle0.csv",
        "csv/forgetting_ppo_cycle0.csv",
        "csv/scales.csv",
        "csv/summary.csv",
        "csv/transfer_clear.csv",
        "csv/transfer_ppo.csv",
        "curves.pdf",
        "curves.png",
        "methods.txt",
        "report.html",
        "tables.json",
        "tables.md",
        "tables.tex",
    }
    assert (output / "curves.pdf").read_bytes().startswith(b"%PDF")
    assert (output / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((output / "tables.json").read_text())["summary"]["title"] == "Summary"
    shown = capsys.readouterr().out
    assert "forgetting F x 10, cycle 0" in shown
    assert f"written: {output / 'report.html'}" in shown


def test_plasticity_is_shown_where_it_was_measured(make_run: Any, tmp_path: Path) -> None:
    measured = {"dormant_fraction": {10: 0.1, 30: 0.5}, "effective_rank/layer4": {10: 30.0, 30: 20.0}}
    run = make_run("study/0", {0: A, 1: B}, plasticity=measured)
    make_run("study/1", {0: A, 1: B}, policy="ppo")
    output = tmp_path / "report"
    assert report(tmp_path / "study", "--output", output) == 0
    page = (output / "report.html").read_text()
    assert "<h2>Plasticity</h2>" in page
    assert "effective rank, layer 4" in page
    assert "Sokar" in (output / "methods.txt").read_text()
    assert {path.name for path in output.glob("*.p*")} == {
        *("curves.pdf", "curves.png", "plasticity.pdf", "plasticity.png")
    }
    rows = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(row for row in rows if "plasticity" not in row))
    assert report(tmp_path / "study", "--output", output) == 0
    assert "<h2>Plasticity</h2>" not in (output / "report.html").read_text()
    assert "Sokar" not in (output / "methods.txt").read_text()
    assert {path.name for path in output.glob("*.p*")} == {"curves.pdf", "curves.png"}


def test_what_is_drawn_and_divided_by_can_be_read(make_run: Any, tmp_path: Path) -> None:
    make_run("study/0", {0: A, 1: B})
    make_run("study/1", {0: A, 1: B}, policy="ppo")
    report(tmp_path / "study", "--output", tmp_path / "report", "--window", "1")
    curves = (tmp_path / "report/csv/curves.csv").read_text().splitlines()
    assert curves[:3] == [
        "panel,policy,step,mean,low,high,runs",
        "a,clear,0.0,0.0,0.0,0.0,1",
        "a,clear,10.0,5.0,5.0,5.0,1",
    ]
    scales = json.loads((tmp_path / "report/tables.json").read_text())["scales"]["cells"]
    assert [(cell["row"], cell["column"], cell["value"]) for cell in scales] == [
        ("a", "all policies", 10.0),
        ("b", "all policies", 9.0),
    ]
    methods = (tmp_path / "report/methods.txt").read_text()
    assert "cycle of a, b (20 steps each), and evaluated throughout, every 10 steps" in methods
    assert "clear: 1 (seeds 0); ppo: 1 (seeds 0)." in methods
    assert "without smoothing (as chosen)" in methods


def test_a_reference_that_cannot_be_used_is_named_as_one(
    make_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, empty = make_run("0", {0: A, 1: B}), make_run("empty", {})
    assert report(run, "--reference", empty, "--output", tmp_path / "report") == 2
    assert "--reference: no run is left" in capsys.readouterr().err


def test_a_second_report_replaces_the_first_and_nothing_else(make_run: Any, tmp_path: Path) -> None:
    run, output = make_run("0", {0: A, 1: B}), tmp_path / "report"
    report(run, "--output", output)
    mine = [output / "mine.txt", output / "plasticity.py", output / "csv/mine.csv"]
    for path in mine:
        path.write_text("mine")
    first = (output / "methods.txt").read_text()
    assert report(run, "--output", output, "--window", "2") == 0
    assert (output / "methods.txt").read_text() != first
    assert [path.read_text() for path in mine] == ["mine"] * 3


def test_nothing_is_left_of_a_policy_that_a_second_report_lacks(make_run: Any, tmp_path: Path) -> None:
    first, second = make_run("0", {0: A, 1: B}), make_run("1", {0: A, 1: B}, policy="ppo")
    report(first, second, "--output", tmp_path / "report")
    report(second, "--output", tmp_path / "report")
    assert not list((tmp_path / "report").rglob("*clear*"))


def test_what_cannot_be_read_is_left_out_and_told(
    make_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, closed = make_run("study/0", {0: A, 1: B}), tmp_path / "study/lost+found"
    closed.mkdir()
    iterdir = Path.iterdir

    def refuse(path: Path) -> Any:
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert report(run.parent, "--output", tmp_path / "report") == 0
    assert f"left out: {closed}" in capsys.readouterr().err
    for name in ("", "x" * 300):
        assert report(name, "--output", tmp_path / "report") == 2
        assert f"{name}: there is no such file or directory" in capsys.readouterr().err


def test_files_of_two_policies_never_have_the_same_name(make_run: Any, tmp_path: Path) -> None:
    runs = [make_run(str(index), {0: A, 1: B}, policy=name) for index, name in enumerate(["x_1", "x", "x!", "!"])]
    assert report(*runs, "--output", tmp_path / "report") == 0
    assert {path.name for path in (tmp_path / "report/csv").glob("transfer_*")} == {
        *("transfer_x_1.csv", "transfer_x.csv", "transfer_x_2.csv", "transfer_policy.csv")
    }


def test_names_may_hold_anything(make_run: Any, tmp_path: Path) -> None:
    tasks = [{"id": r"$\bad$ [/b]", "num_timesteps": 20}, {"id": "b" * 300, "num_timesteps": 20}]
    many = {f"setting_{index}": "x" * 40 for index in range(12)}
    runs = [
        make_run("0", {0: A, 1: B}, tasks=tasks, settings={"x": "[/b] $a$", **many}),
        make_run("1", {0: A, 1: B}, tasks=tasks, settings={"x": "a/b"}),
        make_run("2", {0: A, 1: B}, tasks=tasks, settings={"x": "a_b"}),
    ]
    assert report(*runs, "--output", tmp_path / "report") == 0
    assert len(list((tmp_path / "report/csv").glob("transfer_*"))) == 3
    assert len([name for name in json.loads((tmp_path / "report/tables.json").read_text()) if "transfer" in name]) == 3


def test_a_run_that_never_got_a_reward_is_reported(make_run: Any, tmp_path: Path) -> None:
    run = make_run("0", {0: dict.fromkeys(A, 0.0), 1: dict.fromkeys(B, 0.0)})
    assert report(run, "--output", tmp_path / "report") == 0
    assert "## Final return" in (tmp_path / "report/tables.md").read_text()


def test_tasks_whose_evaluations_do_not_overlap_have_no_average(make_run: Any, tmp_path: Path) -> None:
    run = make_run("0", {0: {0: 1.0, 10: 2.0}, 1: {30: 1.0, 40: 2.0}})
    assert report(run, "--output", tmp_path / "report") == 0


def test_notes_are_told_and_stand_on_the_page(
    make_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, empty = make_run("0", {0: A, 1: B}), make_run("empty", {})
    report(run, empty, "--output", tmp_path / "report")
    note = f"left out: {empty}: it has no evaluation yet"
    assert f"note: {note}" in capsys.readouterr().err
    assert note in (tmp_path / "report/report.html").read_text()


def test_names_are_escaped_on_the_page(make_run: Any, tmp_path: Path) -> None:
    run = make_run("0", {0: A}, policy="<script>alert(1)</script>")
    report(run, "--output", tmp_path / "report")
    assert "<script>alert(1)" not in (tmp_path / "report/report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "missing: there is no such file or directory"),
        (["--window", "0", "x"], "--window"),
        (["--scale", "mine", "x"], "--scale"),
        ([], "name either runs, or folders of event files"),
    ],
)
def test_mistakes_get_one_message(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert report(*arguments) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_is_a_file_is_refused(make_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("mine")
    assert report(make_run("0", {0: A}), "--output", tmp_path / "taken") == 2
    assert "taken" in capsys.readouterr().err
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_run_s_own_directory_is_no_place_for_a_report(make_run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run("0", {0: A})
    before = sorted(run.iterdir())
    assert report(run, "--output", run) == 2
    assert f"--output: {run} is a run's directory; name one for the report alone" in capsys.readouterr().err
    assert report(run, "--output", run.parent) == 2
    assert f"--output: {run} is a run's directory" in capsys.readouterr().err
    assert sorted(run.iterdir()) == before


def test_a_report_needs_no_torch(make_run: Any, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom crl_core.cli.main import main\n"
        "try:\n main()\nexcept SystemExit as end:\n assert not end.code\n"
        "assert 'torch' not in sys.modules"
    )
    command = [sys.executable, "-c", code, "report", str(make_run("0", {0: A})), "-o", str(tmp_path / "report")]
    subprocess.run(command, check=True, capture_output=True)
