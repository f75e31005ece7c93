"""Reading JSON and TOML files that users write: plain data, or one message with the place of the mistake."""

from __future__ import annotations

import json
import re
import stat
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from crl_core.errors import CrlError

__all__ = ["DATA_SUFFIXES", "read_data"]

DATA_SUFFIXES = (".json", ".toml")

_DEEPEST = 50  # lists and objects within each other; Python cannot show or write what is nested a few hundred deep
_LONGEST_NAME = 80  # letters of a name in a message
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # JSON can escape one alone; no file can hold it, no terminal show it
_LARGEST_FILE = 100_000_000  # bytes; nobody writes more, and what is read takes ten times its size


def read_data(path: Path, *, error: type[CrlError]) -> Any:
    """Return what a file holds, by its suffix: objects, lists, text, numbers, true, false and null.

    Text is Unicode, and whole numbers fit into 64 bits, so that whatever it is can be shown, and written again.

    Args:
        path: a `.json` or `.toml` file.
        error: what to raise, by what the file is for.

    Raises:
        CrlError: of the class `error`: it cannot be read, or is no JSON or TOML; says where.
    """
    if path.suffix.lower() not in DATA_SUFFIXES:
        raise error(f"{path}: its name should end in .json or .toml, which tells how to read it")
    try:
        data = _parse(_text(path), path.suffix.lower())
        _check(data, ())
    except _MistakeError as problem:
        raise error(f"{path} {problem}") from problem
    return data


class _MistakeError(Exception):
    """What is wrong with a file's text, as the end of a sentence about it."""


def _text(path: Path) -> str:
    try:
        found = path.stat()
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):  # a pipe may never end
            raise _MistakeError("cannot be read: it is a pipe or a device; name a file")
        if found.st_size > _LARGEST_FILE:
            raise _MistakeError(f"cannot be read: it has {found.st_size:,} bytes, more than {_LARGEST_FILE:,}")
        return path.read_text(encoding="utf-8-sig")  # editors of Windows begin a file with a byte order mark
    except UnicodeDecodeError as problem:
        raise _MistakeError(f"is not UTF-8 text: {problem.reason} at byte {problem.start}") from problem
    except OSError as problem:
        raise _MistakeError(f"cannot be read: {problem.strerror}") from problem
    except ValueError as problem:  # a NUL or half a surrogate pair
        raise _MistakeError("cannot be read: no file can have that name") from problem


def _parse(text: str, suffix: str) -> Any:
    try:
        return tomllib.loads(text) if suffix == ".toml" else json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as problem:
        raise _MistakeError(f"is not JSON: {problem.msg} at line {problem.lineno}, column {problem.colno}") from problem
    except tomllib.TOMLDecodeError as problem:
        raise _MistakeError(f"is not TOML: {problem}") from problem
    except RecursionError as problem:
        raise _MistakeError("is nested too deeply") from problem
    except ValueError as problem:  # Python reads no whole number of more than 4,300 digits
        raise _MistakeError("has a whole number of thousands of digits; 64 bits is what one may have") from problem


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that stands twice in an object: JSON allows it, and the first value would be lost."""
    repeated = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if repeated:
        raise _MistakeError(f"has the name '{repeated[0][:_LONGEST_NAME]}' twice in one object; keep one of them")
    return dict(pairs)


def _check(value: object, place: tuple[str | int, ...]) -> None:
    """Refuse what JSON or TOML can say and nobody could use."""
    if len(place) > _DEEPEST:
        raise _MistakeError(f"is nested too deeply, more than {_DEEPEST} lists and objects within each other")
    if isinstance(value, dict):
        for name, each in value.items():
            _check_scalar(name, place)
            _check(each, (*place, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _check(each, (*place, index))
    else:
        _check_scalar(value, place)


def _check_scalar(value: object, place: tuple[str | int, ...]) -> None:
    if isinstance(value, str):
        half = _HALF_CHARACTER.search(value)
        if half:
            escape = half[0].encode("ascii", "backslashreplace").decode()
            raise _MistakeError(f"has{_at(place)} text with {escape}, which is only half of a character")
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise _MistakeError(f"has{_at(place)} a whole number that does not fit into 64 bits")
    elif not isinstance(value, float | None):
        raise _MistakeError(f"has{_at(place)} a date or a time; write it as text, in quotes")


def _at(place: tuple[str | int, ...]) -> str:
    """Return where a value stands, such as ` at [3].seed`."""
    parts = "".join(f"[{part}]" if isinstance(part, int) else f".{part[:_LONGEST_NAME]}" for part in place)
    return f" at {parts.removeprefix('.')}" if parts else ""
