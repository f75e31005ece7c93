from __future__ import annotations

import contextlib
import mmap
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest

from crl_core.errors import ReplayError
from crl_replay import UnrollSchema, UnrollStore
from crl_replay.environment import unroll_key


def _noise(number: int) -> dict[str, Any]:
    """An unroll whose record takes four pieces."""
    size = 7 * mmap.PAGESIZE // 2
    return {"noise": np.random.default_rng(number).integers(0, 256, size, dtype=np.uint8)}


@pytest.fixture
def schema(make_unroll: Any) -> UnrollSchema:
    return UnrollSchema.from_example(make_unroll(0))


@pytest.fixture
def store(tmp_path: Path, schema: UnrollSchema) -> Iterator[UnrollStore]:
    with UnrollStore.create(tmp_path / "replay", schema) as store:
        yield store


def test_what_was_put_can_be_read_at_once_and_after_sync(
    store: UnrollStore, make_unroll: Any, assert_same: Any
) -> None:
    for number in range(50):
        store.put(number, make_unroll(number))
        assert_same(store.get(number), make_unroll(number))
    store.sync()
    for number, unroll in zip([3, 49, 3, 0], store.get_many([3, 49, 3, 0]), strict=True):
        assert_same(unroll, make_unroll(number))
    assert len(store) == 50
    assert store.numbers().tolist() == list(range(50))
    assert store.bytes_on_disk() > 0


def test_arrays_are_copied_and_memory_is_not_shared_between_unrolls(
    store: UnrollStore, make_unroll: Any, assert_same: Any
) -> None:
    early = make_unroll(0)
    store.put(0, early)
    early["actions"][:] = -1
    read = store.get(0)
    for number in range(1, 30):
        store.put(number, make_unroll(number))
    store.sync()
    assert_same(read, make_unroll(0))
    assert_same(store.get(0), make_unroll(0))


def test_reading_hands_out_read_only_arrays(store: UnrollStore, make_unroll: Any) -> None:
    store.put(0, make_unroll(0))
    store.sync()
    assert not store.get(0)["actions"].flags.writeable


def test_a_reopened_store_has_everything(
    store: UnrollStore, make_unroll: Any, assert_same: Any, schema: UnrollSchema
) -> None:
    for number in (2**40, 5, 300):
        store.put(number, make_unroll(number))
    store.close()
    with UnrollStore.open(store.directory, schema) as again:
        assert again.numbers().tolist() == [5, 300, 2**40]
        assert_same(again.get(2**40), make_unroll(2**40))
        assert again.schema == schema


def test_a_number_is_written_once(store: UnrollStore, make_unroll: Any, assert_same: Any) -> None:
    store.put(4, make_unroll(4))
    store.sync()
    store.put(4, make_unroll(5))
    with pytest.raises(ReplayError, match="already holds unroll 4, and unrolls never change"):
        store.sync()
    with pytest.raises(ReplayError, match="already holds unroll 4"):
        store.close()
    with UnrollStore.open(store.directory) as again:
        assert_same(again.get(4), make_unroll(4))


def test_deleted_unrolls_are_gone_at_once_and_their_numbers_free(
    store: UnrollStore, make_unroll: Any, assert_same: Any
) -> None:
    for number in range(6):
        store.put(number, make_unroll(number))
    store.delete([1, 4, 77])
    for number in (1, 4):
        with pytest.raises(ReplayError, match=f"has no unroll {number}"):
            store.get(number)
    store.put(4, make_unroll(44))
    assert_same(store.get(4), make_unroll(44))
    store.sync()
    assert_same(store.get(4), make_unroll(44))
    assert store.numbers().tolist() == [0, 2, 3, 4, 5]


def test_delete_from_drops_a_tail(store: UnrollStore, make_unroll: Any) -> None:
    for number in (0, 1, 255, 256, 70_000):
        store.put(number, make_unroll(number))
    assert store.delete_from(256) == 2
    assert store.numbers().tolist() == [0, 1, 255]
    assert store.delete_from(256) == 0
    assert store.delete_from(0) == 3
    assert len(store) == 0


def test_space_of_deleted_unrolls_is_used_again(store: UnrollStore, make_unroll: Any) -> None:
    for number in range(2000):
        store.put(number, make_unroll(number))
        store.delete(range(max(0, number - 20), max(0, number - 19)))
    assert len(store) == 20
    assert store.bytes_on_disk() < 2000 * 400 / 2  # 400 bytes of noise in each


def test_opening_creates_nothing(tmp_path: Path, schema: UnrollSchema) -> None:
    with pytest.raises(ReplayError, match=r"There is no replay store in .*put its replay directory back"):
        UnrollStore.open(tmp_path / "nothing", schema)
    assert list(tmp_path.iterdir()) == []


def test_creating_over_a_store_is_refused(store: UnrollStore, schema: UnrollSchema) -> None:
    with pytest.raises(ReplayError, match="already holds a replay store"):
        UnrollStore.create(store.directory, schema)


def test_creating_under_a_file_is_refused(tmp_path: Path, schema: UnrollSchema) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ReplayError, match=r"cannot be used: NotADirectoryError"):
        UnrollStore.create(tmp_path / "file" / "replay", schema)


def test_a_foreign_schema_is_refused_field_by_field(store: UnrollStore, make_unroll: Any) -> None:
    store.close()
    other = UnrollSchema.from_example(make_unroll(0) | {"rewards": np.zeros(5, np.float32), "new": np.zeros(2)})
    with pytest.raises(
        ReplayError, match=r"'new' is absent there, float64 \[2\] here; 'rewards' is float32 \[3\] there"
    ):
        UnrollStore.open(store.directory, other)
    UnrollStore.open(store.directory).close()  # the refusal left nothing open


def test_lmdb_data_without_a_schema_is_refused(tmp_path: Path) -> None:
    lmdb.open(str(tmp_path)).close()
    with pytest.raises(ReplayError, match="is not a replay store: it has no schema record"):
        UnrollStore.open(tmp_path)


def test_a_file_that_is_not_lmdb_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(ReplayError, match="cannot be used"):
        UnrollStore.open(tmp_path)


def test_a_store_is_opened_once_at_a_time(store: UnrollStore) -> None:
    with pytest.raises(ReplayError, match=r"cannot be used.*already open"):
        UnrollStore.open(store.directory)


@contextlib.contextmanager
def _pieces(store: UnrollStore) -> Iterator[lmdb.Transaction]:
    """A write transaction on the files of a store, which is closed."""
    store.close()
    with lmdb.open(str(store.directory), map_size=1 << 30) as environment, environment.begin(write=True) as transaction:
        yield transaction


def _piece_key(number: int, index: int) -> bytes:
    return unroll_key(number) + index.to_bytes(4, "big")


def test_a_corrupt_record_names_its_number(store: UnrollStore, make_unroll: Any) -> None:
    store.put(9, make_unroll(9))
    with _pieces(store) as transaction:
        record = bytearray(transaction.get(_piece_key(9, 0)) or b"")
        record[len(record) // 2] ^= 1
        transaction.put(_piece_key(9, 0), bytes(record))
    with UnrollStore.open(store.directory) as again, pytest.raises(ReplayError, match=r"Unroll 9 .* is damaged"):
        again.get(9)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.8, 0.99])
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    directory = tmp_path / "replay"
    with UnrollStore.create(directory, UnrollSchema.from_example(_noise(0))) as store:
        for number in range(60):
            store.put(number, _noise(number))
    file = directory / "data.mdb"
    whole = file.read_bytes()
    cut = int(share * len(whole))
    file.write_bytes(whole[:cut])
    with pytest.raises(ReplayError, match=rf"was cut short: data.mdb lacks its last {len(whole) - cut:,} bytes"):
        UnrollStore.open(directory)
    file.write_bytes(whole)
    with UnrollStore.open(directory) as again:
        assert len(again) == 60


def test_a_store_is_as_long_as_its_pages_after_any_writes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    directory = tmp_path / "replay"
    UnrollStore.create(directory, UnrollSchema.from_example(_noise(0))).close()
    kept: set[int] = set()
    for number in range(60):  # opening refuses a file that is shorter
        with UnrollStore.open(directory) as store:
            store.put(number, _noise(number))
            kept.add(number)
            gone = [each for each in kept if rng.random() < 0.4]
            store.delete(gone)
            kept -= set(gone)
            assert set(store.numbers().tolist()) == kept


@pytest.mark.parametrize("number", [3, 4, 5])
@pytest.mark.parametrize("index", [0, 1, 3])
def test_a_missing_piece_names_its_unroll_and_spares_the_others(tmp_path: Path, number: int, index: int) -> None:
    with UnrollStore.create(tmp_path / "replay", UnrollSchema.from_example(_noise(0))) as store:
        for other in (3, 4, 5):
            store.put(other, _noise(other))
        with _pieces(store) as transaction:
            assert transaction.stat()["entries"] == 2 + 3 * 4
            assert transaction.delete(_piece_key(number, index))
    with UnrollStore.open(tmp_path / "replay") as again:
        with pytest.raises(ReplayError, match=rf"Unroll {number} .* is damaged"):
            again.get(number)
        for other in {3, 4, 5} - {number}:
            np.testing.assert_array_equal(again.get(other)["noise"], _noise(other)["noise"])
        assert again.numbers().tolist() == [other for other in (3, 4, 5) if other != number or index > 0]
        again.delete([number])
        assert set(again.numbers().tolist()) == {3, 4, 5} - {number}
    with _pieces(again) as transaction:
        assert transaction.stat()["entries"] == 2 + 2 * 4


def test_unrolls_of_many_pieces_are_put_read_and_deleted_whole(tmp_path: Path) -> None:
    numbers = [7, 2**40, 0, 255, 256]  # not in their order
    with UnrollStore.create(tmp_path / "replay", UnrollSchema.from_example(_noise(0))) as store:
        for number in numbers:
            store.put(number, _noise(number))
        store.delete([255, 1])
        assert store.delete_from(2**40) == 1
        assert store.numbers().tolist() == [0, 7, 256]
        assert len(store) == 3
        for number in (256, 0, 7):
            np.testing.assert_array_equal(store.get(number)["noise"], _noise(number)["noise"])
        with pytest.raises(ReplayError, match="has no unroll 255"):
            store.get(255)
        store.put(7, _noise(1))
        for call in (store.sync, store.close):
            with pytest.raises(ReplayError, match="already holds unroll 7"):
                call()


def test_a_piece_fills_one_page(tmp_path: Path) -> None:
    with UnrollStore.create(tmp_path / "replay", UnrollSchema.from_example(_noise(0))) as store:
        for number in range(10):
            store.put(number, _noise(number))
    with _pieces(store) as transaction:
        # What is less than half a page lies in the tree.
        assert transaction.stat()["overflow_pages"] in (3 * 10, 4 * 10)
        assert {len(transaction.get(_piece_key(number, 0)) or b"") for number in range(10)} == {mmap.PAGESIZE - 16}


def test_a_closed_store_says_so_and_closes_twice(store: UnrollStore, make_unroll: Any) -> None:
    store.close()
    store.close()
    for call in (lambda: store.put(0, make_unroll(0)), lambda: store.get(0), lambda: store.delete([0]), store.sync):
        with pytest.raises(ReplayError, match="is closed"):
            call()
    with pytest.raises(ReplayError, match="is closed"):
        len(store)


WRITE_UNTIL_KILLED = """
import sys
import numpy as np
from crl_replay import UnrollSchema, UnrollStore
noise = lambda number: np.random.default_rng(number).integers(0, 256, 9000, dtype=np.uint8)
unroll = lambda number: {"a": np.full(1000, number), "noise": noise(number), "name": str(number)}
store = UnrollStore.create(sys.argv[1], UnrollSchema.from_example(unroll(0)))
for number in range(10**9):
    store.put(number, unroll(number))
    if number % 50 == 0:
        store.sync()
        print(number, flush=True)
"""


def test_everything_synced_survives_a_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE_UNTIL_KILLED, str(tmp_path / "replay")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        synced = [int(process.stdout.readline()) for _ in range(20)][-1]
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    with UnrollStore.open(tmp_path / "replay") as store:
        numbers = store.numbers()
        assert len(numbers) > synced
        np.testing.assert_array_equal(numbers, np.arange(len(numbers)))  # a prefix: writes reach the disk in order
        for number in numbers.tolist():
            unroll = store.get(number)
            np.testing.assert_array_equal(unroll["a"], np.full(1000, number))
            np.testing.assert_array_equal(
                unroll["noise"], np.random.default_rng(number).integers(0, 256, 9000, dtype=np.uint8)
            )
            assert unroll["name"] == str(number)
