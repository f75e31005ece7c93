"""Writing a new package's files: all of them, or none."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from crl_core.errors import ConfigError

__all__ = ["write_package"]


def write_package(directory: Path, files: Mapping[str, str]) -> None:
    """Write files into a directory that does not exist yet or is empty.

    They are written beside it first, so that the directory never holds a part of them.

    Args:
        directory: where; its parents are made.
        files: relative paths, each with its text.

    Raises:
        ConfigError: the directory is taken, or cannot be written.
    """
    directory = directory.resolve()
    try:
        _check_free(directory)
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as work:
            package = Path(work) / directory.name
            for path, text in files.items():
                target = package / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8", newline="\n")
            if directory.exists():
                directory.rmdir()
            package.rename(directory)
    except OSError as error:
        raise ConfigError(
            f"cannot write to {directory}: {error.strerror or error}; choose another place with --output-dir"
        ) from error


def _check_free(directory: Path) -> None:
    if directory == Path.cwd():
        raise ConfigError(f"{directory} is where you are; go one up, and name it with --output-dir")
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"{directory} is a file; choose another place with --output-dir")
    if directory.exists() and any(directory.iterdir()):
        raise ConfigError(f"{directory} is not empty; choose another place with --output-dir")
