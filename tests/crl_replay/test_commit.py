"""The promise of `ReplayBuffer`: whatever happens, both of the last two states find every unroll they refer to."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crl_replay import ReplayBuffer
from crl_replay.retention import Retention
from crl_replay.writer import Writer

CAPACITY = 4
# Saves are frequent, because an eviction is settled only three of them later, and crashes are rare.
ACTIONS = st.sampled_from(
    ["add", "save", "add and save", "add and save", "add and save", "crash", "crash while saving"]
)


@contextlib.contextmanager
def idle_disk(idle: bool) -> Iterator[None]:
    """Where `idle`, let nothing reach the disk before someone waits for it: a crash then loses all the rest."""
    work = Writer._work

    def work_when_asked(self: Writer) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: not idle or self._stopping or self._synced < self._sync_target, timeout=5)
        return work(self)

    flush = Writer.sync if idle else Writer.flush
    with mock.patch.object(Writer, "_work", work_when_asked), mock.patch.object(Writer, "flush", flush):
        yield


class Run:
    """A run with its checkpoints, and a plain list of what each of its unrolls must be."""

    def __init__(self, directory: Path, make_unroll: Any, assert_same: Any) -> None:
        self.directory = directory
        self.make_unroll = make_unroll
        self.assert_same = assert_same
        self.versions: list[int] = []  # by unroll number: which attempt at it counts
        self.attempt = 0
        self.checkpoints: list[tuple[bytes, list[int]]] = []
        self.buffer = self.fresh_buffer()
        self.save()

    def fresh_buffer(self) -> ReplayBuffer:
        return ReplayBuffer(self.directory, capacity_unrolls=CAPACITY, seed=0)

    def add(self, n: int) -> None:
        self.attempt += 1
        first = len(self.versions)
        self.buffer.add([self.make_unroll(first + i, self.attempt) for i in range(n)])
        self.versions += [self.attempt] * n

    def save(self) -> None:
        file = io.BytesIO()
        torch.save(self.buffer.state_dict(), file)
        self.checkpoints = [*self.checkpoints[-1:], (file.getvalue(), list(self.versions))]

    def crash(self, back: int) -> None:
        """Lose what was not yet written; go on from the newest checkpoint or the one before it."""
        store = self.buffer._store
        if store is not None:
            with store._writer._changed:
                store._writer._queue.clear()
        self.buffer.close()
        self.buffer = self.fresh_buffer()
        del self.checkpoints[len(self.checkpoints) + 1 - min(back, len(self.checkpoints)) :]
        saved, versions = self.checkpoints[-1]
        self.versions = list(versions)
        self.buffer.load_state_dict(torch.load(io.BytesIO(saved), weights_only=True))

    def check(self) -> None:
        kept = self.buffer._reservoir.kept().tolist()
        assert len(kept) == min(CAPACITY, len(self.versions)) == len(self.buffer)
        store = self.buffer._store
        if store is None:
            assert kept == []
            return
        for number, unroll in zip(kept, store.get_many(kept), strict=True):
            self.assert_same(unroll, self.make_unroll(number, self.versions[number]))

    def check_for_leaks(self) -> None:
        """Check that the store holds what is kept, and else only what waits to be deleted (or, after a crash, did)."""
        waiting = [number for group in self.buffer._retention._groups for number in group]
        assert len(waiting) <= 3 * CAPACITY
        if (store := self.buffer._store) is not None:
            store.sync()
            kept, stored = set(self.buffer._reservoir.kept().tolist()), set(store.numbers().tolist())
            assert kept <= stored <= kept.union(waiting)


@settings(max_examples=80, deadline=None)
@given(actions=st.lists(st.tuples(ACTIONS, st.integers(1, 9)), min_size=5, max_size=25), idle=st.booleans())
def test_no_referenced_unroll_is_lost_and_none_leaks(
    make_unroll: Any, assert_same: Any, actions: list[tuple[str, int]], idle: bool
) -> None:
    with tempfile.TemporaryDirectory() as directory, idle_disk(idle):
        run = Run(Path(directory), make_unroll, assert_same)
        for action, argument in actions:
            if "add" in action:
                run.add(argument)
            if "crash" in action:
                if "saving" in action:
                    run.buffer.state_dict()  # written to no checkpoint
                run.crash(back=1 + argument % 2)
            elif "save" in action:
                run.save()
            run.check()
            if not idle:
                run.check_for_leaks()
        run.crash(back=2)
        run.check()
        run.check_for_leaks()
        run.buffer.close()


def test_what_two_checkpoints_refer_to_waits_for_the_third() -> None:
    retention = Retention()
    assert retention.snapshot(10) == []
    assert not retention.evict(3)  # the first snapshot refers to it
    assert retention.evict(12)  # no snapshot does
    assert retention.snapshot(20) == []
    assert not retention.evict(4)
    assert retention.snapshot(30) == []  # the checkpoint of 10 may still be resumed
    assert retention.snapshot(40) == [3]
    assert retention.snapshot(50) == [4]


def test_a_second_snapshot_of_the_same_moment_counts_for_nothing() -> None:
    retention = Retention()
    retention.snapshot(10)
    retention.evict(3)
    retention.snapshot(20)
    for _ in range(5):
        assert retention.snapshot(20) == []
    assert retention.snapshot(30) == []
    assert retention.snapshot(40) == [3]


def test_waiting_evictions_survive_a_resume() -> None:
    retention = Retention()
    retention.snapshot(10)
    retention.evict(3)
    retention.snapshot(20)
    resumed = Retention()
    resumed.load(retention.state(), 20)
    assert resumed.evict(25)
    assert resumed.snapshot(30) == []
    assert resumed.snapshot(40) == [3]
