"""What one unroll consists of, and how it becomes one compressed record and back.

A record is one zstd frame of the fields' bytes, one after the other: plain arrays, then what may be image stacks as
`layout` writes them, then strings. A record that comes out large is tried a second time, with the images time last.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from crl_core.errors import ReplayError
from crl_replay.arrays import Array, Payload, Unroll
from crl_replay.codec import CodecError, compress, decompress
from crl_replay.layout import continuations, is_stack, pack_stacks, packed_bytes, to_time_last, unpack_stacks

__all__ = ["Field", "UnrollSchema"]

FORMAT_VERSION = 2
# A record of fewer bytes is small enough; a larger one is worth a second try, at a level that takes longer.
SMALL_BYTES = 10_000
SECOND_LEVEL = 4
STRING = "str"
_LENGTH = np.dtype("<u4")
_NUMERIC_KINDS = "biufc"


@dataclass(frozen=True)
class Field:
    """One field of an unroll: its shape, and its dtype as NumPy writes it (`"|u1"`, `"<f4"`), or `"str"`."""

    dtype: str
    shape: tuple[int, ...]

    @cached_property
    def nbytes(self) -> int:
        """The bytes of its plain array; 0 for a string, whose length varies."""
        return 0 if self.dtype == STRING else np.dtype(self.dtype).itemsize * math.prod(self.shape)

    def __str__(self) -> str:
        return STRING if self.dtype == STRING else f"{np.dtype(self.dtype).name} {list(self.shape)}"

    def describes(self, value: Array | str) -> bool:
        """Say whether `value` has this dtype and shape."""
        if isinstance(value, str):
            return self.dtype == STRING
        array = np.asarray(value)
        return array.shape == self.shape and array.dtype.str == self.dtype

    @classmethod
    def of(cls, value: Array | str) -> Field:
        """Return the field that describes `value`, an array, a number or a string."""
        array = np.asarray(value)
        return cls(STRING if array.dtype.kind == "U" else array.dtype.str, array.shape)


@dataclass(frozen=True)
class UnrollSchema:
    """The fields of an unroll, by name. Every unroll of a store has the same."""

    fields: Mapping[str, Field]

    @classmethod
    def from_example(cls, unroll: Unroll) -> UnrollSchema:
        """Return the schema of `unroll`.

        Raises:
            ReplayError: a field is neither numbers nor one string.
        """
        fields = {name: Field.of(value) for name, value in unroll.items()}
        for name, field in fields.items():
            if field.dtype == STRING and field.shape == ():
                continue
            if field.dtype == STRING or np.dtype(field.dtype).kind not in _NUMERIC_KINDS:
                raise ReplayError(
                    f"The unroll's field '{name}' is {field.dtype} {list(field.shape)}, which replay cannot store. "
                    "Give an array of booleans or numbers, or one string."
                )
        return cls(fields)

    @classmethod
    def from_json(cls, text: str, *, where: Path) -> UnrollSchema:
        """Return the schema that `to_json` wrote.

        Args:
            text: the JSON.
            where: the store it comes from, for the message.

        Raises:
            ReplayError: it was written in another format.
        """
        try:
            document = json.loads(text)
            version = document["version"]
            if version == FORMAT_VERSION:
                entries = document["fields"].items()
                return cls({name: Field(entry["dtype"], tuple(entry["shape"])) for name, entry in entries})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ReplayError(
                f"The schema record of the replay store in {where} cannot be read ({error}). Use a fresh directory."
            ) from error
        raise ReplayError(
            f"The replay store in {where} has format {version}; this version of crl-replay reads format "
            f"{FORMAT_VERSION}. Install the version that wrote it, or use a fresh directory."
        )

    def to_json(self) -> str:
        """Return the schema as JSON, with the format's version."""
        fields = {name: {"dtype": field.dtype, "shape": list(field.shape)} for name, field in self.fields.items()}
        return json.dumps({"version": FORMAT_VERSION, "fields": fields})

    def differences(self, other: UnrollSchema) -> list[str]:
        """Return one line for each field in which `other` differs from this schema."""
        lines = []
        for name in sorted({*self.fields, *other.fields}):
            mine, theirs = self.fields.get(name), other.fields.get(name)
            if mine != theirs:
                lines.append(f"'{name}' is {mine or 'absent'} there, {theirs or 'absent'} here")
        return lines

    def check(self, unroll: Unroll) -> None:
        """Raise `ReplayError`, naming every field at fault, unless `unroll` has this schema."""
        if unroll.keys() == self.fields.keys() and all(
            self.fields[name].describes(value) for name, value in unroll.items()
        ):
            return
        actual = UnrollSchema({name: Field.of(value) for name, value in unroll.items()})
        if lines := self.differences(actual):
            raise ReplayError(
                f"An unroll differs from those in the replay store: {'; '.join(lines)}. "
                "All unrolls of a store need the same fields, dtypes and shapes."
            )

    def pack(self, unroll: Unroll, memory: Payload | None = None) -> Payload:
        """Return the plain bytes of `unroll`, `uint8 [bytes]`, a copy.

        Args:
            unroll: what to pack.
            memory: where to put it, if large enough: fresh memory costs many times the copy itself.

        Raises:
            ReplayError: `unroll` does not have this schema.
        """
        self.check(unroll)
        strings = b"".join(_string_bytes(str(unroll[name])) for name in self._strings)
        continues = {name: continuations(np.asarray(unroll[name])) for name, _ in self._stacks}
        sizes = {name: packed_bytes(field.shape, continues[name]) for name, field in self._stacks}
        size = self._plain_bytes + sum(sizes.values()) + len(strings)
        payload = np.empty(size, dtype=np.uint8) if memory is None or len(memory) < size else memory[:size]
        offset = 0
        for name, field in self._arrays:
            target = payload[offset : offset + field.nbytes].view(field.dtype).reshape(field.shape)
            target[...] = unroll[name]
            offset += field.nbytes
        for name, _ in self._stacks:
            pack_stacks(np.asarray(unroll[name]), continues[name], payload[offset : offset + sizes[name]])
            offset += sizes[name]
        payload[offset:] = np.frombuffer(strings, dtype=np.uint8)
        return payload

    def unpack(self, payload: bytes, number: int) -> dict[str, Array]:
        """Return the fields in `payload`: read-only arrays, mostly views on it, strings as `str []` arrays.

        Raises:
            ReplayError: the payload is not as long as this schema says; it names the unroll by `number`.
        """
        unroll: dict[str, Array] = {}
        offset = 0
        try:
            for name, field in self._arrays:
                items = field.nbytes // np.dtype(field.dtype).itemsize
                flat = np.frombuffer(payload, dtype=field.dtype, count=items, offset=offset)
                unroll[name] = flat.reshape(field.shape)
                offset += field.nbytes
            for name, field in self._stacks:
                unroll[name], offset = unpack_stacks(payload, offset, field.shape)
            for name in self._strings:
                length = int(np.frombuffer(payload, dtype=_LENGTH, count=1, offset=offset)[0])
                offset += _LENGTH.itemsize
                unroll[name] = np.array(payload[offset : offset + length].decode())
                offset += length
        except ValueError as error:
            raise _corrupt(number, str(error)) from error
        if offset != len(payload):
            raise _corrupt(number, f"{len(payload)} bytes instead of {offset}")
        return unroll

    def encode(self, unroll: Unroll) -> bytes:
        """Return `unroll` as one compressed record. Raises `ReplayError` unless it has this schema."""
        return self.compress(self.pack(unroll))

    def compress(self, payload: Payload) -> bytes:
        """Return the record of what `pack` returned."""
        record = compress(payload)
        if not self._stacks or len(record) < SMALL_BYTES:
            return record
        payload, offset = payload.copy(), self._plain_bytes
        for _, field in self._stacks:
            offset = to_time_last(payload, offset, field.shape)
        return min(record, compress(payload, SECOND_LEVEL), key=len)

    def decode(self, record: bytes, number: int) -> dict[str, Array]:
        """Return the fields in `record`: read-only arrays, strings as `str []` arrays.

        Decompression runs outside the GIL.

        Raises:
            ReplayError: the record is damaged; it names the unroll by `number`.
        """
        try:
            payload = decompress(record)
        except CodecError as error:
            raise _corrupt(number, str(error)) from error
        return self.unpack(payload, number)

    @cached_property
    def _arrays(self) -> list[tuple[str, Field]]:
        """The plain arrays in the order of their bytes: widest items first, so that every one is aligned in memory."""
        arrays = [
            (name, field)
            for name, field in self.fields.items()
            if field.dtype != STRING and not is_stack(field.dtype, field.shape)
        ]
        return sorted(arrays, key=lambda entry: (-np.dtype(entry[1].dtype).itemsize, entry[0]))

    @cached_property
    def _plain_bytes(self) -> int:
        return sum(field.nbytes for _, field in self._arrays)

    @cached_property
    def _stacks(self) -> list[tuple[str, Field]]:
        """The fields that may be image stacks, which follow the plain arrays."""
        return sorted((name, field) for name, field in self.fields.items() if is_stack(field.dtype, field.shape))

    @cached_property
    def _strings(self) -> list[str]:
        """The string fields, which come last: each its length in bytes, then its UTF-8."""
        return sorted(name for name, field in self.fields.items() if field.dtype == STRING)


def _string_bytes(text: str) -> bytes:
    encoded = text.encode()
    return np.array(len(encoded), dtype=_LENGTH).tobytes() + encoded


def _corrupt(number: int, detail: str) -> ReplayError:
    return ReplayError(
        f"Unroll {number} of the replay store is damaged ({detail}). Its disk may be failing; "
        "start the run again in a fresh directory on another disk."
    )
