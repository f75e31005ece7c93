"""The published Atari settings of PPO: the shipped config file is accepted as it is, and trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from crl_core.launch import launch
from crl_core.logs import RunLog
from crl_core.plan import plan_run
from crl_core.resolve import resolve
from crl_policies_ppo.config import PpoConfig, atari_preset

CONFIG = Path(__file__).parents[2] / "configs" / "ppo_atari.json"
TINY = {
    "experiment": "mini_atari_3_tasks_3_cycles",  # the same games, fewer of them
    "cycle_count": 1,
    "num_timesteps": 100,
    "num_steps": 16,
    "no_initial_eval": True,
    "continual_eval_num_returns": 1,
    "eval_max_steps": 8,
}


def entry() -> dict[str, Any]:
    (settings,) = json.loads(CONFIG.read_text())
    return dict(settings)


def test_the_shipped_settings_are_those_of_the_preset() -> None:
    resolved = resolve(entry())
    assert resolved.warnings == ()
    assert resolved.run.experiment == "atari_6_tasks_5_cycles"
    assert resolved.policy == PpoConfig(**atari_preset())


def test_they_train(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    resolved = resolve({**entry(), **TINY, "device": "cpu", "output_dir": str(directory)})
    console = Console(quiet=True)
    with RunLog(console) as log:
        launch(plan_run(resolved.run, resolved.policy), console, log)
    rows = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    losses = [row for row in rows if row["name"] == "loss/policy"]
    assert [row["task"] for row in losses] == [0, 1, 2]
    assert [row["step"] for row in rows if row["name"] == "eval_reward/2"] == [row["step"] for row in losses]
