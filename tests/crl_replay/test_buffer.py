from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crl_core.errors import ReplayError
from crl_replay import ReplayBuffer, UnrollStore


def _saved(state: dict[str, Any]) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_columns_come_back_aligned(tmp_path: Path, make_unroll: Any, assert_same: Any) -> None:
    with ReplayBuffer(tmp_path / "replay", capacity_unrolls=10, seed=0) as buffer:
        assert buffer.add([make_unroll(number) for number in range(10)]) == 10
        batch = buffer.sample(32)
    assert batch["observations"].shape == (4, 32, 2, 4, 4)
    assert batch["actions"].shape == batch["rewards"].shape == (3, 32)
    assert batch["policy_logits"].shape == (3, 32, 5)
    assert batch["num_actions"].shape == batch["task_id"].shape == (32,)
    assert len(set(batch["num_actions"].tolist())) > 5
    for column, number in enumerate(batch["num_actions"].tolist()):
        scalars = ("num_actions", "task_id")
        assert_same(
            {name: np.asarray(value[column] if name in scalars else value[:, column]) for name, value in batch.items()},
            make_unroll(number),
        )
    assert all(value.flags.writeable for value in batch.values())


def test_constructing_and_saving_an_empty_buffer_touches_no_disk(tmp_path: Path) -> None:
    with ReplayBuffer(tmp_path / "replay", capacity_unrolls=10, seed=0) as buffer:
        assert len(buffer) == buffer.count == buffer.add([]) == buffer.bytes_on_disk() == 0
        buffer.load_state_dict(_saved(buffer.state_dict()))
        with pytest.raises(ReplayError, match="empty"):
            buffer.sample(1)
    assert list(tmp_path.iterdir()) == []


def test_rejected_unrolls_are_not_stored(tmp_path: Path, make_unroll: Any) -> None:
    with ReplayBuffer(tmp_path, capacity_unrolls=5, seed=0) as buffer:
        taken = [buffer.add([make_unroll(number)]) for number in range(100)]
        assert taken[:5] == [1] * 5
        assert 5 < sum(taken) < 50
        assert (len(buffer), buffer.count, buffer.capacity) == (5, 100, 5)
        assert buffer._store is not None
        assert len(buffer._store) == 5


def test_many_at_once_is_the_same_as_one_by_one(tmp_path: Path, make_unroll: Any) -> None:
    unrolls = [make_unroll(number) for number in range(60)]
    with (
        ReplayBuffer(tmp_path / "a", capacity_unrolls=5, seed=1) as one,
        ReplayBuffer(tmp_path / "b", capacity_unrolls=5, seed=1) as other,
    ):
        one.add(unrolls)
        for unroll in unrolls:
            other.add([unroll])
        np.testing.assert_equal(one.sample(50), other.sample(50))
        assert one._store is not None
        assert other._store is not None
        assert one._store.numbers().tolist() == other._store.numbers().tolist()


def test_a_misfit_changes_nothing(tmp_path: Path, make_unroll: Any) -> None:
    with ReplayBuffer(tmp_path, capacity_unrolls=5, seed=0) as buffer:
        buffer.add([make_unroll(0)])
        with pytest.raises(ReplayError, match="'actions'"):
            buffer.add([make_unroll(1), make_unroll(2) | {"actions": np.zeros(9, np.int64)}])
        assert len(buffer) == buffer.count == 1


def test_a_fresh_run_does_not_take_over_another_store(tmp_path: Path, make_unroll: Any) -> None:
    with ReplayBuffer(tmp_path, capacity_unrolls=5, seed=0) as buffer:
        buffer.add([make_unroll(0)])
    with (
        ReplayBuffer(tmp_path, capacity_unrolls=5, seed=0) as buffer,
        pytest.raises(ReplayError, match="already holds a replay store"),
    ):
        buffer.add([make_unroll(0)])


def test_a_resumed_buffer_goes_on_exactly(tmp_path: Path, make_unroll: Any) -> None:
    with ReplayBuffer(tmp_path, capacity_unrolls=6, seed=0) as buffer:
        buffer.add([make_unroll(number) for number in range(40)])
        buffer.sample(3)
        state = _saved(buffer.state_dict())
        buffer.add([make_unroll(number) for number in range(40, 80)])
        expected = buffer.sample(20)
    with ReplayBuffer(tmp_path, capacity_unrolls=6, seed=7) as buffer:
        buffer.load_state_dict(state)
        assert buffer.count == 40
        buffer.add([make_unroll(number) for number in range(40, 80)])
        np.testing.assert_equal(buffer.sample(20), expected)


def test_going_back_to_before_the_first_unroll_starts_a_new_store(tmp_path: Path, make_unroll: Any) -> None:
    with ReplayBuffer(tmp_path, capacity_unrolls=6, seed=0) as buffer:
        state = _saved(buffer.state_dict())
        buffer.add([make_unroll(0)])
    with ReplayBuffer(tmp_path, capacity_unrolls=6, seed=0) as buffer:
        buffer.load_state_dict(state)
        assert len(buffer) == 0
        buffer.add([{"other": np.zeros(2)}])
        assert buffer.sample(2)["other"].shape == (2, 2)
        buffer.load_state_dict(state)  # also with the store open
        buffer.add([make_unroll(0)])


def test_resuming_without_the_store_is_refused(tmp_path: Path, make_unroll: Any) -> None:
    with ReplayBuffer(tmp_path / "replay", capacity_unrolls=6, seed=0) as buffer:
        buffer.add([make_unroll(0)])
        state = buffer.state_dict()
    shutil.rmtree(tmp_path / "replay")
    with (
        ReplayBuffer(tmp_path / "replay", capacity_unrolls=6, seed=0) as buffer,
        pytest.raises(ReplayError, match=r"There is no replay store in"),
    ):
        buffer.load_state_dict(state)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_lacks_unrolls_is_refused(tmp_path: Path, make_unroll: Any) -> None:
    with ReplayBuffer(tmp_path, capacity_unrolls=6, seed=0) as buffer:
        buffer.add([make_unroll(number) for number in range(6)])
        state = buffer.state_dict()
    with UnrollStore.open(tmp_path) as store:
        store.delete([2, 4])
    with (
        ReplayBuffer(tmp_path, capacity_unrolls=6, seed=0) as buffer,
        pytest.raises(ReplayError, match=r"lacks 2 of the 6 unrolls .* the first is 2"),
    ):
        buffer.load_state_dict(state)


def test_a_state_of_another_format_is_refused(tmp_path: Path) -> None:
    buffer = ReplayBuffer(tmp_path, capacity_unrolls=6, seed=0)
    with pytest.raises(ReplayError, match="format 2; this version of crl-replay reads format 1"):
        buffer.load_state_dict(buffer.state_dict() | {"version": 2})


def test_a_closed_buffer_says_so(tmp_path: Path, make_unroll: Any) -> None:
    buffer = ReplayBuffer(tmp_path, capacity_unrolls=6, seed=0)
    buffer.add([make_unroll(0)])
    state = buffer.state_dict()
    buffer.close()
    buffer.close()
    calls = (
        lambda: buffer.add([make_unroll(1)]),
        lambda: buffer.sample(1),
        buffer.state_dict,
        lambda: buffer.load_state_dict(state),
    )
    for call in calls:
        with pytest.raises(ReplayError, match="is closed"):
            call()


def test_another_runs_store_is_refused(tmp_path: Path, make_unroll: Any) -> None:
    with ReplayBuffer(tmp_path / "replay", capacity_unrolls=10, seed=0, owner="mine") as buffer:
        buffer.add([make_unroll(number) for number in range(5)])
        state = _saved(buffer.state_dict())
    for owner, message in (("theirs", "belongs to run mine, and not to run theirs"), ("", "and not to no run")):
        buffer = ReplayBuffer(tmp_path / "replay", capacity_unrolls=10, seed=0, owner=owner)
        with pytest.raises(ReplayError, match=message):
            buffer.load_state_dict(state)
    with ReplayBuffer(tmp_path / "replay", capacity_unrolls=10, seed=0, owner="mine") as buffer:
        buffer.load_state_dict(state)
        assert len(buffer) == 5
    with UnrollStore.open(tmp_path / "replay") as store:
        assert len(store.numbers()) == 5
