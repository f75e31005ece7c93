"""What users may name as an experiment: a registered one, a file, or environments of Gymnasium. Imports no torch."""

from __future__ import annotations

import os
import re
from pathlib import Path

from crl_core.data_files import DATA_SUFFIXES, read_data
from crl_core.errors import ExperimentError, UnknownNameError
from crl_core.plugins import registry

__all__ = ["check_experiment", "experiment_file", "experiment_label", "file_name", "gymnasium_environments"]

_GYMNASIUM = "gym:"
_GYMNASIUM_ID = re.compile(r"([\w.]+:)?([\w-]+/)?[\w.-]+-v\d+")
_LABEL_LENGTH = 80  # letters; a file's name may have 255 bytes
_LONGEST_NAME = 4096  # letters; Linux takes no longer path


def experiment_file(name: str) -> Path | None:
    """Return the path, if the name is that of an experiment file: it ends in .json or .toml."""
    path = Path(name)
    return path if path.suffix.lower() in DATA_SUFFIXES else None


def gymnasium_environments(name: str) -> list[str] | None:
    """Return the environments, if the name is one of `gym:CartPole-v1` or `gym:CartPole-v1,Acrobot-v1`.

    Raises:
        ExperimentError: an environment's name is empty.
    """
    if not name.startswith(_GYMNASIUM):
        return None
    environments = [each.strip() for each in name.removeprefix(_GYMNASIUM).split(",")]
    if not all(environments):
        raise ExperimentError(
            f"experiment '{name}': an environment's name is empty; write gym:CartPole-v1, or several as "
            "gym:CartPole-v1,Acrobot-v1"
        )
    return environments


def experiment_label(name: str) -> str:
    """Return a word for the names of directories: a file's without folder and suffix, and plain characters."""
    file = experiment_file(name)
    label = file.stem if file is not None else name
    return file_name(label)


def file_name(text: str) -> str:
    """Return text as a part of a file's name: at most 80 letters, digits, `_`, and `-` or `.` between them."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")[:_LABEL_LENGTH]


def check_experiment(name: str) -> None:
    """Check that there is such an experiment, as far as can be told without making any environment.

    Raises:
        ExperimentError: its file cannot be read, an environment's name is empty, or its name is no name.
        UnknownNameError: no plugin offers it.
    """
    if len(name) > _LONGEST_NAME:
        raise ExperimentError(f"experiment '{name[:_LABEL_LENGTH]}...': no name or path has {len(name):,} letters")
    file = experiment_file(name)
    if file is not None:
        read_data(file, error=ExperimentError)
    elif gymnasium_environments(name) is None:
        _check_registered(name)


def _check_registered(name: str) -> None:
    try:
        registry().experiment(name)
    except UnknownNameError as error:
        raise UnknownNameError(f"{error}{_hint(name)}") from None


def _hint(name: str) -> str:
    if _GYMNASIUM_ID.fullmatch(name):
        return f" An environment of Gymnasium is named so: {_GYMNASIUM}{name}."
    if os.path.isfile(name):  # noqa: PTH113  # pathlib raises where a name is too long for a file
        return f" An experiment file's name ends in {' or '.join(DATA_SUFFIXES)}."
    return ""
