from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crl_replay import UnrollSchema
from crl_replay.codec import decompress
from crl_replay.layout import continuations, is_stack, pack_stacks, packed_bytes, to_time_last, unpack_stacks


def _stacks(images: Any, resets: list[bool], depth: int, *, refill: bool) -> Any:
    """Stacks of `depth` images, one more than `resets`; after a reset the others are zeros or, to `refill`, copies."""
    stacks = [np.stack([next(images) for _ in range(depth)])]
    for reset in resets:
        image = next(images)
        past = np.stack([image if refill else np.zeros_like(image)] * (depth - 1)) if depth > 1 else image[None][:0]
        stacks.append(np.concatenate([past if reset else stacks[-1][1:], image[None]]))
    return np.stack(stacks)


def _round_trip(stacks: Any, *, time_last: bool) -> tuple[Any, int]:
    before, after = b"abc", b"wxyz"
    continues = continuations(stacks)
    payload = np.full(len(before) + packed_bytes(stacks.shape, continues) + len(after), 0xAA, dtype=np.uint8)
    payload[: len(before)] = np.frombuffer(before, np.uint8)
    payload[-len(after) :] = np.frombuffer(after, np.uint8)
    pack_stacks(stacks, continues, payload[len(before) : -len(after)])
    if time_last:
        assert to_time_last(payload, len(before), stacks.shape) == len(payload) - len(after)
    unpacked, end = unpack_stacks(payload.tobytes(), len(before), stacks.shape)
    assert end == len(payload) - len(after)
    assert payload[: len(before)].tobytes() + payload[end:].tobytes() == before + after
    return unpacked, len(payload)


@given(
    resets=st.lists(st.booleans(), max_size=8),
    depth=st.integers(1, 4),
    image=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    levels=st.sampled_from([1, 2, 256]),
    refill=st.booleans(),
    time_last=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_stacks_come_back_as_they_were(
    resets: list[bool], depth: int, image: list[int], levels: int, refill: bool, time_last: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    images = (rng.integers(0, levels, image, dtype=np.uint8) for _ in itertools.count())
    stacks = _stacks(images, resets, depth, refill=refill)
    unpacked, size = _round_trip(stacks, time_last=time_last)
    np.testing.assert_array_equal(unpacked, stacks)
    assert unpacked.dtype == np.uint8
    assert not unpacked.flags.writeable
    starts = 1 + sum(resets)
    assert size <= 7 + len(stacks) + (starts * depth + len(resets) - sum(resets)) * np.prod(image)


@given(
    shape=st.lists(st.integers(1, 4), min_size=3, max_size=5),
    levels=st.sampled_from([1, 2, 256]),
    time_last=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_array_comes_back_as_it_was(shape: list[int], levels: int, time_last: bool, seed: int) -> None:
    array = np.random.default_rng(seed).integers(0, levels, shape, dtype=np.uint8)
    np.testing.assert_array_equal(_round_trip(array, time_last=time_last)[0], array)


def test_only_new_images_are_kept() -> None:
    images = iter(np.random.default_rng(0).integers(0, 256, (50, 6, 5), dtype=np.uint8))
    stacks = _stacks(images, [False, False, True, False], 4, refill=False)
    assert continuations(stacks).tolist() == [True, True, False, True]
    assert packed_bytes(stacks.shape, continuations(stacks)) == 5 + (4 + 1 + 1 + 4 + 1) * 30


@pytest.mark.parametrize(
    ("dtype", "shape", "expected"),
    [
        ("|u1", (21, 4, 84, 84), True),
        ("|u1", (21, 10, 10), True),
        ("|u1", (21, 4), False),
        ("|u1", (21, 0, 84), False),
        ("|b1", (21, 4, 84, 84), False),
        ("<f4", (21, 4, 84, 84), False),
    ],
)
def test_what_may_be_stacks(dtype: str, shape: tuple[int, ...], expected: bool) -> None:
    assert is_stack(dtype, shape) is expected


def _unroll(images: Any) -> dict[str, Any]:
    stacks = _stacks(iter(images), [False] * 9 + [True] + [False] * 9, 4, refill=False)
    return {"late": stacks, "early": stacks[:, :, :9], "rewards": np.ones(3, np.float32), "name": "ключ"}


def test_a_record_that_compresses_badly_is_stored_time_last_if_that_is_smaller(assert_same: Any) -> None:
    rng = np.random.default_rng(0)
    # Full of detail that changes everywhere at once, so that no image looks like another.
    detailed = rng.integers(0, 8, (1, 40, 40), dtype=np.uint8) ** 2 + np.arange(40, dtype=np.uint8)[:, None, None]
    sizes = {}
    for name, images, time_last in (
        ("empty", np.zeros_like(detailed), False),
        ("detailed", detailed, True),
        ("noise", rng.integers(0, 256, detailed.shape, dtype=np.uint8), False),
    ):
        unroll = _unroll(images)
        schema = UnrollSchema.from_example(unroll)
        record = schema.encode(unroll)
        assert_same(schema.decode(record, 0), unroll)
        offset = unroll["rewards"].nbytes
        if name != "noise":  # either way round is as large
            assert bool(decompress(record)[offset]) is time_last, name
        sizes[name] = len(record)
    assert sizes["empty"] < sizes["detailed"] < sizes["noise"]
