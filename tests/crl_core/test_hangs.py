"""Calls into environments are timed by a clock that runs only while the process does."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from crl_core.errors import EnvironmentFailure
from crl_core.runners import hangs
from crl_core.runners.hangs import EnvironmentCall, HangWatch, raise_if_hanging


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> hangs._Clock:
    clock = hangs._Clock()
    monkeypatch.setattr(hangs, "_clock", clock)
    return clock


def test_only_a_call_that_lasts_too_long_is_a_failure(clock: hangs._Clock) -> None:
    call = EnvironmentCall(5.0, EnvironmentFailure)
    for _ in range(3):  # each time it is made it has its own time
        with call:
            clock.tick(6.9)
            raise_if_hanging()
    clock.tick(100.0)
    raise_if_hanging()
    with call:
        clock.tick(7.0)
        with pytest.raises(EnvironmentFailure, match=r"no answer for 7 s\. .* step_timeout_seconds, which is 5"):
            raise_if_hanging()


def test_a_call_of_another_thread_is_noticed(clock: hangs._Clock) -> None:
    begun, end = threading.Event(), threading.Event()

    def hang() -> None:
        with EnvironmentCall(1.0, EnvironmentFailure):
            begun.set()
            end.wait(60)

    thread = threading.Thread(target=hang)
    thread.start()
    assert begun.wait(60)
    clock.tick(4.0)
    with pytest.raises(EnvironmentFailure):
        raise_if_hanging()
    end.set()
    thread.join()
    raise_if_hanging()


def test_time_for_which_the_process_was_suspended_does_not_count(
    clock: hangs._Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = itertools.count(step=3600.0)  # as if it was suspended again and again
    monkeypatch.setattr(hangs.time, "monotonic", lambda: next(hours))
    told: list[EnvironmentFailure] = []
    deadline = time.perf_counter() + 60
    with HangWatch(told.append), EnvironmentCall(60.0, EnvironmentFailure):
        while clock.seconds == 0.0:
            assert time.perf_counter() < deadline
        raise_if_hanging()
    assert 0 < clock.seconds < 60
    assert told == []
