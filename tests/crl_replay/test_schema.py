from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crl_core.errors import ReplayError
from crl_replay import Field, UnrollSchema

WHERE = Path("somewhere")


@pytest.mark.parametrize("text", ["ALE/Pong-v5", "", "tâche-ключ-鍵"])
def test_a_record_comes_back_as_it_was(make_unroll: Any, assert_same: Any, text: str) -> None:
    unroll = make_unroll(7) | {"task_id": text}
    schema = UnrollSchema.from_example(unroll)
    assert_same(schema.decode(schema.encode(unroll), 7), unroll)


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "u4", "i8", "f2", "f4", "f8", "c8", ">f4"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4)])
def test_every_kind_of_number_survives(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    unroll: dict[str, Any] = {"a": array, "b": np.array(3, dtype=np.uint8)}
    schema = UnrollSchema.from_example(unroll)
    decoded = schema.decode(schema.encode(unroll), 0)["a"]
    assert decoded.dtype == array.dtype
    assert decoded.shape == shape
    np.testing.assert_array_equal(decoded, array)


def test_columns_of_a_rollout_need_not_be_contiguous() -> None:
    rollout = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    schema = UnrollSchema.from_example({"a": rollout[:, 2]})
    np.testing.assert_array_equal(schema.decode(schema.encode({"a": rollout[:, 2]}), 0)["a"], rollout[:, 2])


def test_decoded_arrays_are_aligned_whatever_the_order_of_fields() -> None:
    unroll: dict[str, Any] = {
        "a": np.zeros(3, np.uint8),
        "b": np.zeros(3, np.float64),
        "c": np.zeros(1, np.bool_),
        "d": np.zeros(5, "i4"),
    }
    schema = UnrollSchema.from_example(unroll)
    assert all(array.flags.aligned for array in schema.decode(schema.encode(unroll), 0).values())


def test_packing_into_given_memory_does_not_change_the_result(make_unroll: Any) -> None:
    unroll = make_unroll(1)
    schema = UnrollSchema.from_example(unroll)
    fresh = schema.pack(unroll)
    for size in (0, len(fresh) - 1, len(fresh), len(fresh) + 50):
        assert schema.pack(unroll, np.full(size, 255, dtype=np.uint8)).tobytes() == fresh.tobytes()


def test_the_schema_survives_json(make_unroll: Any) -> None:
    schema = UnrollSchema.from_example(make_unroll(0))
    again = UnrollSchema.from_json(schema.to_json(), where=WHERE)
    assert again == schema
    assert again.fields["observations"] == Field("|u1", (4, 2, 4, 4))
    assert again.fields["task_id"] == Field("str", ())
    assert again.differences(schema) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards": np.zeros(3, np.float64)}, r"'rewards' is float32 \[3\] there, float64 \[3\] here"),
        ({"actions": np.zeros(4, np.int64)}, r"'actions' is int64 \[3\] there, int64 \[4\] here"),
        ({"num_actions": np.zeros(1, np.int64)}, r"'num_actions' is int64 \[\] there, int64 \[1\] here"),
        ({"extra": np.zeros(1, np.int64)}, r"'extra' is absent there, int64 \[1\] here"),
        ({"task_id": np.array(3)}, r"'task_id' is str there, int64 \[\] here"),
        ({"actions": "left"}, r"'actions' is int64 \[3\] there, str here"),
    ],
)
def test_a_misfit_names_the_field(make_unroll: Any, change: dict[str, Any], message: str) -> None:
    schema = UnrollSchema.from_example(make_unroll(0))
    with pytest.raises(ReplayError, match=message):
        schema.encode(make_unroll(1) | change)


def test_a_missing_field_and_all_faults_are_named_at_once(make_unroll: Any) -> None:
    schema = UnrollSchema.from_example(make_unroll(0))
    unroll = make_unroll(1) | {"rewards": np.zeros(2, np.float32)}
    del unroll["valid"]
    with pytest.raises(ReplayError, match=r"'rewards' is .*; 'valid' is bool \[3\] there, absent here"):
        schema.check(unroll)


@pytest.mark.parametrize(
    "value", [np.array([None]), np.array(["a", "b"]), np.array(b"a"), np.array(0, "datetime64[s]")]
)
def test_what_cannot_be_stored_is_refused(value: Any) -> None:
    with pytest.raises(ReplayError, match=r"'odd' .* replay cannot store"):
        UnrollSchema.from_example({"odd": value})


def test_damage_is_found_and_names_the_unroll(make_unroll: Any) -> None:
    unroll = make_unroll(0)
    schema = UnrollSchema.from_example(unroll)
    record = schema.encode(unroll)
    for position in range(0, len(record), 7):
        damaged = bytearray(record)
        damaged[position] ^= 0x55
        with pytest.raises(ReplayError, match=r"Unroll 41 .* is damaged"):
            schema.decode(bytes(damaged), 41)
    for cut in (0, 1, len(record) // 2, len(record) - 1):
        with pytest.raises(ReplayError, match=r"Unroll 41 .* is damaged"):
            schema.decode(record[:cut], 41)


def test_a_record_of_another_schema_is_found() -> None:
    short, long = {"a": np.zeros(3)}, {"a": np.zeros(4)}
    short_schema, long_schema = UnrollSchema.from_example(short), UnrollSchema.from_example(long)
    for reader, record in ((short_schema, long_schema.encode(long)), (long_schema, short_schema.encode(short))):
        with pytest.raises(ReplayError, match=r"Unroll 3 .* is damaged"):
            reader.decode(record, 3)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', '{"version": 2, "fields": {"a": 3}}'])
def test_an_unreadable_schema_is_a_message(text: str) -> None:
    with pytest.raises(ReplayError, match="somewhere cannot be read"):
        UnrollSchema.from_json(text, where=WHERE)


def test_a_schema_of_another_format_is_a_message() -> None:
    with pytest.raises(ReplayError, match="somewhere has format 99; this version of crl-replay reads format 2"):
        UnrollSchema.from_json('{"version": 99}', where=WHERE)
