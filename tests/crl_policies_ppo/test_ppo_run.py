"""PPO in whole runs on the tutorial: the same seed gives the same metrics, and it learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from crl_core.launch import launch
from crl_core.logs import RunLog
from crl_core.plan import plan_run
from crl_core.resolve import resolve

SETTINGS: dict[str, Any] = {
    "policy": "ppo",
    "experiment": "tutorial",
    "device": "cpu",
    "precision": "fp32",
    "num_processes": 8,
    "num_steps": 32,
    "num_mini_batch": 4,
    "use_gae": True,
}


def run(directory: Path, **settings: Any) -> list[dict[str, Any]]:
    """Run PPO; return the rows of metrics.jsonl."""
    resolved = resolve({**SETTINGS, "output_dir": str(directory), **settings})
    console = Console(quiet=True)
    with RunLog(console) as log:
        launch(plan_run(resolved.run, resolved.policy), console, log)
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def test_the_same_seed_gives_the_same_metrics(tmp_path: Path) -> None:
    few = {"num_timesteps": 600, "continual_eval_num_returns": 4}
    first, again = run(tmp_path / "first", **few), run(tmp_path / "again", **few)
    assert {"loss/policy", "learning_rate", "eval_reward/1"} <= {row["name"] for row in first}
    assert first == again
    assert first != run(tmp_path / "other", seed=1, **few)


def test_learns_to_catch(tmp_path: Path) -> None:
    rows = run(tmp_path / "run", num_timesteps=8000, continual_testing_freq=8000)
    catch = [row["value"] for row in rows if row["name"] == "eval_reward/0" and row["task"] == 0]
    assert catch[0] < 0  # who does not look misses most balls
    assert catch[-1] > 0.6
