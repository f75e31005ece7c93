"""Config files: a list of runs, each a mapping of the settings that the command line takes. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crl_core.data_files import read_data
from crl_core.errors import ConfigError, CrlError, PluginError
from crl_core.experiment_names import experiment_file
from crl_core.plugins import registry
from crl_core.resolve import ResolvedSettings, resolve
from crl_core.validation import listed, setting_name, shortened, shown

__all__ = ["Entry", "policies_named", "read_config_file"]

_TOML_TABLE = "entries"
_SEEDS = "seeds"


@dataclass(frozen=True)
class Entry:
    """One run of a config file.

    Attributes:
        index: its place in the file, from 0.
        seed: which of the entry's `seeds` this run has; None where the entry has no such list.
        written: what the file says of it, its own seed among it.
        resolved: the same, with the flags given beside the file in their place, validated.
    """

    index: int
    seed: int | None
    written: Mapping[str, Any]
    resolved: ResolvedSettings

    @property
    def folder(self) -> Path:
        """Where it runs, within the folder of the file: `3`, or `3/seed_1`."""
        return Path(str(self.index)) if self.seed is None else Path(str(self.index), f"seed_{self.seed}")

    @property
    def label(self) -> str:
        """How a user names it: `3`, or `3:1`."""
        return str(self.index) if self.seed is None else f"{self.index}:{self.seed}"


def read_config_file(path: Path, flags: Mapping[str, Any]) -> list[Entry]:
    """Return the runs of a config file, all of them validated.

    Args:
        path: a JSON file with a list of objects, or a TOML file with `[[entries]]`.
        flags: settings that go before those of every entry.

    Raises:
        ConfigError: it cannot be read; or names what is wrong with each entry, all at once.
    """
    entries: list[Entry] = []
    problems: list[str] = []
    for index, settings in enumerate(_read(path)):
        source = f"entry {index}"
        try:
            entries += _entries(index, settings, flags, source, path.parent)
        except CrlError as error:
            text = str(error)
            problems.append(text if text.startswith(source) else f"{source}: {text}")
    if problems:
        told = [problem.replace("\n", "\n  ") for problem in listed(problems)]
        raise ConfigError(shortened("\n  ".join([f"{path}:", *told])))
    return entries


def policies_named(path: Path) -> list[str]:
    """Return the policies that a config file names, each once; those that nobody offers are for its entries to refuse.

    Raises:
        ConfigError: it cannot be read.
    """
    named = [settings.get("policy") for settings in _read(path)]
    return [name for name in dict.fromkeys(name for name in named if isinstance(name, str)) if _is_offered(name)]


def _is_offered(policy: str) -> bool:
    try:
        registry().policy(policy)
    except PluginError:
        return False
    return True


def _read(path: Path) -> list[dict[str, Any]]:
    data = read_data(path, error=ConfigError)
    if not path.stem.strip("."):  # the folder of its runs would be the output directory, or the one above
        raise ConfigError(f"{path}: the folder of its runs is called as the file is without its suffix; name it so")
    if path.suffix.lower() == ".toml":
        unknown = sorted(set(data) - {_TOML_TABLE})
        if unknown:
            raise ConfigError(
                f"{path}: '{shown(unknown[0])}' stands outside of any run; begin each run with [[entries]]"
            )
        data = data.get(_TOML_TABLE, [])
    wrong = _no_list_of_objects(data)
    if wrong:
        raise ConfigError(f"{path}: a config file is a list of runs, each an object of settings by name; {wrong}")
    if not data:
        raise ConfigError(f"{path}: it holds no run")
    return [_with_plain_names(path, index, entry) for index, entry in enumerate(data)]


def _no_list_of_objects(data: object) -> str:
    if not isinstance(data, list):
        return f"it is {shown(data)}"
    others = (f"entry {index} is {shown(each)}" for index, each in enumerate(data) if not isinstance(each, dict))
    return next(others, "")


def _with_plain_names(path: Path, index: int, entry: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, value in entry.items():
        if setting_name(name) in plain:
            raise ConfigError(
                f"{path}: entry {index}: '{shown(setting_name(name))}' stands there twice, spelt with '-' and with '_'"
            )
        plain[setting_name(name)] = value
    return plain


def _entries(
    index: int, written: Mapping[str, Any], flags: Mapping[str, Any], source: str, folder: Path
) -> list[Entry]:
    """Return the runs of one entry: one, or one for each of its seeds."""
    flags = {setting_name(name): value for name, value in flags.items()}
    if "output_dir" in {**written, **flags}:
        raise ConfigError("output_dir: runs of a config file go to a folder named after it; remove it from the entry")
    if _SEEDS not in written:
        return [Entry(index, None, written, resolve({**_found_from(folder, written), **flags}, source=source))]
    if "seed" in {**written, **flags}:
        raise ConfigError("it has seeds, a list, and a seed was given too; keep one of them")
    rest = {name: value for name, value in written.items() if name != _SEEDS}
    return [
        Entry(index, seed, each, resolve({**_found_from(folder, each), **flags}, source=source))
        for seed in _checked_seeds(written[_SEEDS])
        for each in [{**rest, "seed": seed}]
    ]


def _found_from(folder: Path, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return settings whose experiment, where it is a file, is found from the folder of the config file."""
    experiment = settings.get("experiment")
    if isinstance(experiment, str) and (file := experiment_file(experiment)):
        return {**settings, "experiment": str(folder / file)}
    return settings


def _checked_seeds(seeds: object) -> Sequence[int]:
    if not (isinstance(seeds, list) and seeds and all(type(seed) is int and 0 <= seed < 2**63 for seed in seeds)):
        raise ConfigError(f"seeds: should be a list of whole numbers from 0 on, such as [0, 1, 2], got {shown(seeds)}")
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds: each should stand there once, got {shown(seeds)}")
    return seeds
