"""Processes on one config file, one of them killed: the short form of `benchmarks/claims.py`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from benchmarks.claims import campaign


@pytest.mark.timeout(240)
def test_every_entry_runs_once_though_a_process_is_killed(tmp_path: Path) -> None:
    outcome = campaign(tmp_path, processes=4, entries=8, kills=1, rng=random.Random(1))
    assert outcome.problems == []
    assert outcome.killed == 1
