"""Signals become requests, which are noticed at safe points."""

from __future__ import annotations

import signal
import threading

import pytest

from crl_core.stopping import Interrupted, StopRequest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noticed_at_the_next_check(number: signal.Signals) -> None:
    with StopRequest() as stop:
        stop.check()
        signal.raise_signal(number)
        with pytest.raises(Interrupted, match=number.name):
            stop.check()
        with pytest.raises(Interrupted):
            stop.check()  # as long as it lasts


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_ctrl_c_after_a_request_is_immediate(first: signal.Signals) -> None:
    with StopRequest() as stop:
        signal.raise_signal(first)
        signal.raise_signal(signal.SIGTERM)  # patient
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted, match=first.name):
            stop.check()


def test_signals_are_left_as_they_were() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopRequest():
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] != before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_another_thread_may_use_one_and_hears_nothing() -> None:
    failures: list[BaseException] = []

    def use() -> None:
        try:
            with StopRequest() as stop:
                stop.check()
        except BaseException as error:  # noqa: BLE001  # it must reach the test
            failures.append(error)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert failures == []
    assert signal.getsignal(signal.SIGINT) is before
