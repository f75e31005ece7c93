"""A disk that is full, fails or hangs: every call says so, and none waits for ever."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crl_core.errors import ReplayError
from crl_replay import UnrollSchema, UnrollStore, writer
from crl_replay.writer import Writer

STALL_SECONDS = 0.2


def _store(directory: Path, make_unroll: Any, **options: Any) -> UnrollStore:
    return UnrollStore.create(directory / "replay", UnrollSchema.from_example(make_unroll(0)), **options)


def _put_many(store: UnrollStore, make_unroll: Any, count: int) -> None:
    for number in range(count):
        store.put(number, make_unroll(number))


def _assert_every_call_raises(store: UnrollStore, make_unroll: Any, match: str) -> None:
    calls = (
        lambda: store.put(10**6, make_unroll(0)),
        lambda: store.get(0),
        lambda: store.delete([0]),
        lambda: store.delete_from(0),
        lambda: len(store),
        store.numbers,
        store.sync,
        store.bytes_on_disk,
        store.close,
    )
    for call in calls:
        with pytest.raises(ReplayError, match=match):
            call()
    store.close()


def test_a_full_store_stops_the_run_with_a_message(tmp_path: Path, make_unroll: Any) -> None:
    store = _store(tmp_path, make_unroll, map_size=1 << 16)
    with pytest.raises(ReplayError, match="replay failed: MapFullError"):
        _put_many(store, make_unroll, 10_000)
    _assert_every_call_raises(store, make_unroll, "replay failed: MapFullError")


def test_a_store_that_cannot_even_hold_its_schema_is_closed_again(tmp_path: Path, make_unroll: Any) -> None:
    schema = UnrollSchema.from_example(
        {f"field {n} {np.random.default_rng(n).bytes(40).hex()}": np.zeros(1) for n in range(900)}
    )
    with pytest.raises(ReplayError, match="MapFullError"):
        UnrollStore.create(tmp_path / "replay", schema, map_size=1 << 14)
    UnrollStore.remove(tmp_path / "replay")
    _store(tmp_path, make_unroll).close()


def test_a_failing_disk_surfaces_at_the_next_call(
    tmp_path: Path, make_unroll: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _store(tmp_path, make_unroll)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Writer, "_commit", fail)
    store.put(0, make_unroll(0))
    with pytest.raises(ReplayError, match=r"No space left on device\. Free space on that disk"):
        store.sync()
    _assert_every_call_raises(store, make_unroll, "No space left on device")


@pytest.fixture
def hanging_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Commits of anything but the schema and the owner wait for the event."""
    released = threading.Event()
    commit = Writer._commit

    def hang(self: Writer, batch: list[writer.Write]) -> None:
        if batch[0].key != b"schema":
            released.wait(timeout=30)
        commit(self, batch)

    monkeypatch.setattr(Writer, "_commit", hang)
    yield released
    released.set()


def test_a_hanging_disk_is_reported(tmp_path: Path, make_unroll: Any, hanging_disk: threading.Event) -> None:
    store = _store(tmp_path, make_unroll, stall_seconds=STALL_SECONDS)
    store.put(0, make_unroll(0))
    for call in (store.sync, lambda: len(store), lambda: store.delete_from(0)):
        with pytest.raises(ReplayError, match=r"has taken no writes for 0\.2 s"):
            call()
    store.close()
    assert store._writer._thread.is_alive()
    hanging_disk.set()
    assert store._writer.stop()


def test_a_full_backlog_makes_put_wait_and_then_raise(
    tmp_path: Path, make_unroll: Any, assert_same: Any, hanging_disk: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BACKLOG_BYTES", 3000)
    with _store(tmp_path, make_unroll, stall_seconds=STALL_SECONDS) as store:
        with pytest.raises(ReplayError, match="has taken no writes"):
            _put_many(store, make_unroll, 100)
        accepted = store._writer._submitted - 2  # less the schema and the owner
        assert 1 <= accepted <= 10
        for number in range(accepted):
            assert_same(store.get(number), make_unroll(number))
        hanging_disk.set()
        store.sync()
        assert len(store) == accepted


def test_a_slow_disk_only_slows_down(
    tmp_path: Path, make_unroll: Any, assert_same: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BACKLOG_BYTES", 3000)
    monkeypatch.setattr(writer, "TRANSACTION_BYTES", 1)
    with _store(tmp_path, make_unroll) as store:
        _put_many(store, make_unroll, 100)
        assert len(store) == 100
        assert_same(store.get(99), make_unroll(99))
