"""The policies solve two tiny image tasks that random play does not; CLEAR still can the first after the second."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from crl_core.tutorial import tutorial

STEPS = 35_000
SOLVED = 0.8
SETTINGS = (
    *("--experiment", "tutorial", "--num-timesteps", str(STEPS), "--continual-testing-freq", str(STEPS)),
    *("--preset", "tutorial"),
)


def evaluations(run: Path) -> list[list[float]]:
    """Return the mean return of each task, one list per evaluation."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    returns = [row["value"] for row in rows if row["name"].startswith("eval_reward/")]
    return [returns[start : start + 2] for start in range(0, len(returns), 2)]


def test_random_play_solves_neither_task() -> None:
    for task in tutorial().tasks:
        rng = np.random.default_rng(0)
        envs = task.make_envs(50, seeds=np.arange(50, dtype=np.int32), evaluation=True)
        envs.reset()
        total, ends = 0.0, 0
        for _ in range(120):
            _, rewards, terminated, _, _ = envs.step(rng.integers(3, size=50))
            total, ends = total + float(rewards.sum()), ends + int(terminated.sum())
        envs.close()
        assert ends >= 900
        assert total / ends < -0.4


def test_impala_solves_each_task_in_turn(crl: Callable[..., Any], tmp_path: Path) -> None:
    result = crl("run", "--policy", "impala", "--runner", "batch", *SETTINGS, "--output-dir", "run")

    assert result.returncode == 0, result.stderr
    before, first, *_, second = evaluations(tmp_path / "run")
    assert max(before) < 0
    assert first[0] >= SOLVED
    assert second[1] >= SOLVED


def test_ppo_solves_each_task_in_turn(crl: Callable[..., Any], tmp_path: Path) -> None:
    result = crl("run", "--policy", "ppo", *SETTINGS, "--output-dir", "run")

    assert result.returncode == 0, result.stderr
    before, first, *_, second = evaluations(tmp_path / "run")
    assert max(before) < 0
    assert first[0] >= SOLVED
    assert second[1] >= SOLVED


def test_clear_solves_both_tasks_and_keeps_the_first(crl: Callable[..., Any], tmp_path: Path) -> None:
    result = crl("run", "--policy", "clear", "--runner", "batch", *SETTINGS, "--output-dir", "run")

    assert result.returncode == 0, result.stderr
    before, first, *_, second = evaluations(tmp_path / "run")
    assert max(before) < 0
    assert first[0] >= SOLVED
    assert min(second) >= SOLVED


def test_impala_learns_while_its_collectors_run_ahead(crl: Callable[..., Any], tmp_path: Path) -> None:
    result = crl("run", "--policy", "impala", *SETTINGS, "--cycle-count", "1", "--output-dir", "run")

    assert result.returncode == 0, result.stderr
    _, first, *_ = evaluations(tmp_path / "run")
    assert first[0] >= SOLVED
    timings = [json.loads(line) for line in (tmp_path / "run" / "timing.jsonl").read_text().splitlines()]
    lags = [row["value"] for row in timings if row["name"] == "policy_lag_max"]
    assert lags
    assert max(lags) <= 4
