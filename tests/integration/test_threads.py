"""Who gets how many threads, with the policies, runners and tasks there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from crl_core.launch import share_out_cores
from crl_core.plan import RunPlan, plan_run
from crl_core.resolve import resolve


def plan(tmp_path: Path, **settings: Any) -> RunPlan:
    resolved = resolve({"policy": "ppo", "device": "cpu", "output_dir": str(tmp_path / "run"), **settings})
    return plan_run(resolved.run, resolved.policy)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"experiment": "tutorial"}, "cores: 6, torch threads: 1"),
        ({"experiment": "pong"}, "cores: 6, torch threads: 6, environment threads: 6"),
        ({"experiment": "pong", "policy": "impala"}, "cores: 6, torch threads: 3, environment threads: 3"),
        ({"experiment": "pong", "policy": "impala", "deterministic": True}, "6, environment threads: 6"),
        ({"experiment": "pong", "torch_threads": 2, "environment_threads": 5}, "2, environment threads: 5"),
    ],
)
def test_cores_are_shared_out_and_said(
    settings: dict[str, Any], wanted: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(6)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS")
    before = torch.get_num_threads()
    try:
        said = share_out_cores(plan(tmp_path, **settings))
        assert said.endswith(wanted)
        assert f"torch threads: {torch.get_num_threads()}" in said
    finally:
        torch.set_num_threads(before)
