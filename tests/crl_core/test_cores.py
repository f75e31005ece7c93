"""How many cores and threads there are to be had."""

from __future__ import annotations

import os

import pytest

from crl_core.cores import set_default_threads, usable_cores


def test_a_share_of_a_machine_is_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(16)), raising=False)
    assert usable_cores() == 16
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert usable_cores() == 1


@pytest.mark.parametrize(("cores", "threads"), [(16, "8"), (3, "1"), (1, "1")])
def test_torch_takes_half_the_cores(monkeypatch: pytest.MonkeyPatch, cores: int, threads: str) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS")
    set_default_threads()
    assert os.environ["OMP_NUM_THREADS"] == threads
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    set_default_threads()
    assert os.environ["OMP_NUM_THREADS"] == "5"
