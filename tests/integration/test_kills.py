"""A run that is killed and resumed: the short form of `benchmarks/kills.py`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from benchmarks.kills import campaign


@pytest.mark.timeout(240)
def test_a_run_ends_as_if_nobody_had_killed_it(tmp_path: Path) -> None:
    settings = {
        "policy": "ppo",
        "experiment": "tutorial",
        "preset": "tutorial",
        "device": "cpu",
        "num_processes": 4,
        "num_timesteps": 12_000,  # long enough to be killed three times on a fast machine
        "continual_testing_freq": 1000,
        "continual_eval_num_returns": 2,
        "timesteps_per_save": 500,
        "use_linear_lr_decay": True,
        "decay_over_steps": 30_000,
    }
    outcome = campaign(tmp_path / "run", settings, kills=3, at_boundary=1, longest=2.0, rng=random.Random(1))
    assert outcome.problems == []
    assert len(outcome.kills) == 3
