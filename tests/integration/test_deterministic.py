"""Runs that can be repeated, and resumed the same way twice: with the pipelined runner, in lock-step."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.crl_core.small_runs import rows, run, status

from crl_core.checkpoint import resumable_checkpoints
from crl_core.launch import launch
from crl_core.logs import RunLog
from crl_core.plan import plan_run
from crl_core.resolve import resolve
from crl_core.resume import read_run

LOCK_STEP = {"runner": "pipelined", "deterministic": True, "num_actors": 3}


def metrics(directory: Path, **settings: Any) -> Path:
    values = {
        "experiment": "tutorial",
        "preset": "tutorial",
        "num_timesteps": 400,
        "continual_eval_num_returns": 2,
        "plasticity_freq": 150,
        "device": "cpu",
        "output_dir": str(directory),
    }
    resolved = resolve({**values, **settings})
    run(plan_run(resolved.run, resolved.policy))
    return directory / "metrics.jsonl"


def resume_from_the_checkpoint_before(directory: Path) -> None:
    newest, _ = resumable_checkpoints(directory / "checkpoints")
    shutil.rmtree(newest)
    (directory / "status.json").write_text(json.dumps({**status(directory), "state": "failed"}))
    console = Console(file=io.StringIO())
    with RunLog(console) as log:
        launch(read_run(directory).plan, console, log, resume=True)


@pytest.mark.parametrize(
    ("policy", "settings"),
    [
        ("impala", LOCK_STEP),
        ("clear", {**LOCK_STEP, "replay_buffer_frames": 240}),  # unrolls are evicted
        ("clear", {"runner": "batch"}),
        ("ppo", {"runner": "sync"}),
        ("ppo", {"runner": "batch"}),
        ("ppo", {"runner": "full_parallel", "num_processes": 2}),
    ],
)
def test_two_runs_are_identical_and_so_are_two_resumes(tmp_path: Path, policy: str, settings: dict[str, Any]) -> None:
    first, second = (metrics(tmp_path / name, policy=policy, seed=3, **settings) for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    measured = {row["name"] for row in rows(first)}
    assert {"plasticity/dormant_fraction", "plasticity/effective_rank/layer2", "plasticity/gradient_norm"} < measured
    for file in (first, second):
        resume_from_the_checkpoint_before(file.parent)
        assert status(file.parent)["state"] == "finished"
    assert first.read_bytes() == second.read_bytes()


def test_another_seed_gives_another_run(tmp_path: Path) -> None:
    first, second = (metrics(tmp_path / str(seed), policy="impala", seed=seed, **LOCK_STEP) for seed in (3, 4))
    assert first.read_bytes() != second.read_bytes()


def test_clear_without_replay_is_impala_step_for_step(tmp_path: Path) -> None:
    impala = rows(metrics(tmp_path / "impala", policy="impala", **LOCK_STEP))
    clear = rows(metrics(tmp_path / "clear", policy="clear", batch_replay_ratio=0, **LOCK_STEP))
    assert [row for row in clear if row["name"] != "replay/unrolls"] == impala
