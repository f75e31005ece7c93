"""Runs that can be repeated, with the pipelined runner in lock-step."""

from __future__ import annotations

from pathlib import Path

from tests.crl_core.small_runs import rows, run

from crl_core.plan import plan_run
from crl_core.resolve import resolve


def metrics(directory: Path, **settings: object) -> Path:
    values = {
        "policy": "impala",
        "experiment": "tutorial",
        "preset": "tutorial",
        "num_timesteps": 400,
        "continual_eval_num_returns": 2,
        "device": "cpu",
        "runner": "pipelined",
        "deterministic": True,
        "num_actors": 3,
        "output_dir": str(directory),
    }
    resolved = resolve({**values, **settings})
    run(plan_run(resolved.run, resolved.policy))
    return directory / "metrics.jsonl"


def test_the_same_seed_gives_the_same_run_and_another_another(tmp_path: Path) -> None:
    first = metrics(tmp_path / "a", seed=3).read_bytes()
    assert metrics(tmp_path / "b", seed=3).read_bytes() == first
    assert metrics(tmp_path / "c", seed=4).read_bytes() != first


def test_clear_without_replay_is_impala_step_for_step(tmp_path: Path) -> None:
    impala = rows(metrics(tmp_path / "impala"))
    clear = rows(metrics(tmp_path / "clear", policy="clear", batch_replay_ratio=0))
    assert [row for row in clear if row["name"] != "replay/unrolls"] == impala
