"""How many cores and threads there are to be had."""

from __future__ import annotations

import itertools
import math
import os

import pytest

from crl_core import cores
from crl_core.cores import environment_threads, set_default_threads, torch_threads, usable_cores

SCREEN = 4 * 84 * 84


def test_a_share_of_a_machine_is_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(16)), raising=False)
    assert usable_cores() == 16
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert usable_cores() == 1


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setattr(cores, "_DEFAULTS", {})


def have(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(count)), raising=False)


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize(("count", "half"), [(16, 8), (3, 1), (1, 1)])
def test_torch_takes_half_the_cores_where_others_collect(
    monkeypatch: pytest.MonkeyPatch, count: int, half: int
) -> None:
    have(monkeypatch, count)
    set_default_threads()
    assert os.environ["OMP_NUM_THREADS"] == str(half)
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert torch_threads(learns_while_collecting=True, observation_values=SCREEN) == half
    assert torch_threads(learns_while_collecting=False, observation_values=SCREEN) == count
    assert environment_threads(learns_while_collecting=True) == half
    assert environment_threads(learns_while_collecting=False) == count


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize(
    ("values", "threads"), [(4, 1), (10 * 10 * 10, 1), (36 * 36, 16), (SCREEN, 16), (math.inf, 16)]
)
def test_one_thread_is_best_for_small_observations(
    monkeypatch: pytest.MonkeyPatch, values: float, threads: int
) -> None:
    have(monkeypatch, 16)
    assert torch_threads(learns_while_collecting=False, observation_values=values) == threads


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize("wanted", [5, 8])  # the second is what would be chosen anyway
def test_what_the_user_set_stands(monkeypatch: pytest.MonkeyPatch, wanted: int) -> None:
    have(monkeypatch, 16)
    monkeypatch.setenv("OMP_NUM_THREADS", str(wanted))
    set_default_threads()
    assert os.environ["OMP_NUM_THREADS"] == str(wanted)
    for collecting, values in itertools.product((True, False), (4, SCREEN)):
        assert torch_threads(learns_while_collecting=collecting, observation_values=values) == wanted


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize("text", ["", "0", "many", "4,2"])
def test_what_is_no_number_of_threads_is_left_to_torch(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    have(monkeypatch, 16)
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert torch_threads(learns_while_collecting=False, observation_values=SCREEN) == 16
