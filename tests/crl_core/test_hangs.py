"""Calls into environments are timed by a clock that runs only while the process does."""

from __future__ import annotations

import itertools
import threading
import time

import numpy as np
import pytest
from tests.crl_core.small_runs import guessing_policy, scripted_task

from crl_core.errors import EnvironmentFailure
from crl_core.runners import hangs
from crl_core.runners.hangs import EnvironmentCall, HangWatch, raise_if_hanging
from crl_core.runners.loop import EnvironmentLoop


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
    beats: list[int] = []
    deadline = time.perf_counter() + 60
    with HangWatch(beat=lambda: beats.append(1), tell=told.append), EnvironmentCall(60.0, EnvironmentFailure):
        while clock.seconds == 0.0:
            assert time.perf_counter() < deadline
        raise_if_hanging()
    assert 0 < clock.seconds < 60
    assert told == []
    assert beats


def test_what_an_earlier_run_left_behind_is_not_the_next_ones(clock: hangs._Clock) -> None:
    left, end = threading.Event(), threading.Event()

    def hang() -> None:
        with EnvironmentCall(1.0, EnvironmentFailure):
            left.set()
            end.wait(60)

    thread = threading.Thread(target=hang)
    thread.start()
    assert left.wait(60)
    clock.tick(100.0)
    with HangWatch(beat=lambda: None, tell=lambda failure: None):
        raise_if_hanging()
    end.set()
    thread.join()


def test_threads_that_do_not_stop_are_left_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    end = threading.Event()
    threads = [threading.Thread(target=end.wait, args=(seconds,), name=f"for-{seconds}") for seconds in (0, 60)]
    for thread in threads:
        thread.start()
    hangs.join_threads(threads, 0.2)
    assert [record.getMessage() for record in caplog.records] == [
        "for-60 did not stop within 0.2 s and was left behind"
    ]
    end.set()
    threads[1].join()


def test_closing_is_a_call_too(monkeypatch: pytest.MonkeyPatch) -> None:
    task = scripted_task()
    loop = EnvironmentLoop(guessing_policy(task), task, seed=np.random.SeedSequence(0), num_envs=2, eval_mode=False)
    timed: list[bool] = []
    monkeypatch.setattr(loop._envs, "close", lambda: timed.append(threading.get_ident() in hangs._in_progress))
    loop.close()
    assert timed == [True]
