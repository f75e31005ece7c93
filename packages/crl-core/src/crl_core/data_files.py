"""Reading JSON and TOML files that users write: plain data, or one message with the place of the mistake."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from crl_core.errors import CrlError

__all__ = ["DATA_SUFFIXES", "read_data"]

DATA_SUFFIXES = (".json", ".toml")


def read_data(path: Path, *, error: type[CrlError]) -> Any:
    """Return what a file holds, by its suffix.

    Args:
        path: a `.json` or `.toml` file.
        error: what to raise, by what the file is for.

    Raises:
        CrlError: of the class `error`: it cannot be read, or is no JSON or TOML; says where.
    """
    if path.suffix.lower() not in DATA_SUFFIXES:
        raise error(f"{path}: its name should end in .json or .toml, which tells how to read it")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        raise error(f"{path} is not UTF-8 text: {problem.reason} at byte {problem.start}") from problem
    except OSError as problem:
        raise error(f"{path} cannot be read: {problem.strerror}") from problem
    try:
        return _parse(text, path.suffix.lower())
    except _MistakeError as problem:
        raise error(f"{path} {problem}") from problem


class _MistakeError(Exception):
    """What is wrong with a file's text, as the end of a sentence about it."""


def _parse(text: str, suffix: str) -> Any:
    try:
        return tomllib.loads(text) if suffix == ".toml" else json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as problem:
        raise _MistakeError(f"is not JSON: {problem.msg} at line {problem.lineno}, column {problem.colno}") from problem
    except tomllib.TOMLDecodeError as problem:
        raise _MistakeError(f"is not TOML: {problem}") from problem
    except RecursionError as problem:
        raise _MistakeError("is nested too deeply") from problem


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that stands twice in an object: JSON allows it, and the first value would be lost."""
    repeated = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if repeated:
        raise _MistakeError(f"has the name '{repeated[0]}' twice in one object; keep one of them")
    return dict(pairs)
