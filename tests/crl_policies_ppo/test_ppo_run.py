"""PPO in whole runs on the tutorial: the same seed gives the same metrics, with every runner, and it learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from crl_core.launch import launch
from crl_core.logs import RunLog
from crl_core.plan import plan_run
from crl_core.resolve import resolve

SETTINGS: dict[str, Any] = {
    "policy": "ppo",
    "experiment": "tutorial",
    "preset": "tutorial",
    "device": "cpu",
    "precision": "fp32",
}
FEW = {"num_timesteps": 600, "continual_eval_num_returns": 4}


def run(directory: Path, **settings: Any) -> list[dict[str, Any]]:
    """Run PPO; return the rows of metrics.jsonl."""
    resolved = resolve({**SETTINGS, "output_dir": str(directory), **settings})
    console = Console(quiet=True)
    with RunLog(console) as log:
        launch(plan_run(resolved.run, resolved.policy), console, log)
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def test_the_same_seed_gives_the_same_metrics(tmp_path: Path) -> None:
    first, again = run(tmp_path / "first", **FEW), run(tmp_path / "again", **FEW)
    assert {"loss/policy", "learning_rate", "eval_reward/1"} <= {row["name"] for row in first}
    assert first == again
    assert first != run(tmp_path / "other", seed=1, **FEW)


@pytest.mark.parametrize(("runner", "num_steps"), [("sync", 8), ("batch", None), ("full_parallel", None)])
def test_trains_with_other_runners(tmp_path: Path, runner: str, num_steps: int | None) -> None:
    few = {**FEW, "num_timesteps": 40}
    rows = run(tmp_path / "run", **few, runner=runner, num_processes=2, num_steps=num_steps)
    assert {"loss/policy", "eval_reward/0", "eval_reward/1"} <= {row["name"] for row in rows}


def test_learns_to_catch(tmp_path: Path) -> None:
    rows = run(tmp_path / "run", num_timesteps=8000, continual_testing_freq=8000)
    catch = [row["value"] for row in rows if row["name"] == "eval_reward/0" and row["task"] == 0]
    assert catch[0] < 0  # who does not look misses most balls
    assert catch[-1] > 0.6
