"""Templates and licenses, with a new package's names in them."""

from __future__ import annotations

import importlib.metadata
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path

from crl_core.errors import ConfigError
from crl_core.scaffold.names import Kind, Names

__all__ = ["LICENSES", "render"]

# What `--license` takes, with the identifier that package metadata has for it.
LICENSES = {"mit": "MIT", "apache-2.0": "Apache-2.0", "bsd-3-clause": "BSD-3-Clause"}

_HERE = Path(__file__).parent
_EXAMPLES: dict[Kind, Names] = {
    "policy": Names("my-algo", "crl-policies-my-algo"),
    "task": Names("my-maze", "crl-tasks-my-maze"),
}


def render(kind: Kind, names: Names, *, author: str | None = None, license_name: str = "mit") -> dict[str, str]:
    """Return the files of a new package, each path relative to the package's directory with its text.

    Args:
        kind: what the package holds.
        names: what it is called.
        author: who holds the copyright; None names the authors after the package.
        license_name: one of `LICENSES`, or `none`.

    Raises:
        ConfigError: the author is no line of text.
    """
    author = author if author is not None else f"The {names.distribution} authors"
    if not author.strip() or not author.isprintable():
        raise ConfigError(f"the author is {author!r}; give a name, on one line")
    values = _values(_EXAMPLES[kind], names) | _legal(author, license_name)
    files = {_replace(path, values): _replace(text, values) for path, text in _template(kind).items()}
    if license_name != "none":
        files["LICENSE"] = _replace((_HERE / "licenses" / f"{license_name}.txt").read_text(encoding="utf-8"), values)
    return dict(sorted(files.items()))


def _template(kind: Kind) -> dict[str, str]:
    root = _HERE / "templates" / kind
    paths = [path for path in root.rglob("*") if path.is_file() and not _is_cache(path.relative_to(root))]
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def _is_cache(path: Path) -> bool:
    """Tell whether a file was left by a tool: installers compile Python files, templates included."""
    return any(part == "__pycache__" or part.endswith(("_cache", ".egg-info")) for part in path.parts)


def _values(example: Names, names: Names) -> dict[str, str]:
    return {
        example.distribution: names.distribution,
        example.module: names.module,
        example.name: names.name,
        example.class_prefix: names.class_prefix,
        "crl-core>=0.1,<0.2": _this_core(),
    }


def _legal(author: str, license_name: str) -> dict[str, str]:
    if identifier := LICENSES.get(license_name):
        field, note = f'license = "{identifier}"', f"{identifier}, see [LICENSE](LICENSE)."
    else:
        field = "# There is no license yet: choose one before you publish."
        note = "None yet, so nobody else may use this; choose one before you publish."
    return {
        '"<author>"': json.dumps(author, ensure_ascii=False),  # a TOML string, which quotes as JSON does
        "<author>": author,
        "<year>": str(time.localtime().tm_year),
        'license = "<license>"': field,
        "<license-note>": note,
    }


def _this_core() -> str:
    """Return the requirement that this version of crl-core, and those compatible with it, satisfy."""
    major, minor = (int(part) for part in importlib.metadata.version("crl-core").split(".")[:2])
    return f"crl-core>={major}.{minor},<{major}.{minor + 1}"


def _replace(text: str, values: Mapping[str, str]) -> str:
    """Replace every key by its value, in one pass, so that nothing is replaced in what was put in."""
    longest_first = sorted(values, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), lambda found: values[found[0]], text)
