"""Fixture distributions, installed without an installer, and the real command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# One thread for torch: networks as small as those of tests only lose by more, above all on a busy machine. It must be
# set before torch is imported, and processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

FIXTURE_DISTRIBUTIONS = Path(__file__).parent / "plugins"

InstallPlugin = Callable[..., None]
Crl = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory of installed distributions, for PYTHONPATH or sys.path."""
    directory = tmp_path / "site"
    directory.mkdir()
    return directory


@pytest.fixture
def install(site: Path) -> Callable[..., None]:
    """Return a function that installs distributions of `tests/plugins` into `site`."""

    def install_into_site(*distributions: str) -> None:
        for distribution in distributions:
            source = FIXTURE_DISTRIBUTIONS / distribution
            shutil.copytree(
                source, site, dirs_exist_ok=True, ignore=shutil.ignore_patterns("entry_points.txt", "__pycache__")
            )
            write_metadata(site, distribution, (source / "entry_points.txt").read_text())

    return install_into_site


@pytest.fixture
def install_code(site: Path) -> Callable[..., None]:
    """Return a function that installs a distribution of one module, given as text."""

    def install_text(distribution: str, code: str, *, entry_points: str = "") -> None:
        module = distribution.replace("-", "_")
        (site / f"{module}.py").write_text(code)
        write_metadata(site, distribution, entry_points or f"[crl_core.v1]\n{module} = {module}\n")

    return install_text


def write_metadata(site: Path, distribution: str, entry_points: str) -> None:
    info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


@pytest.fixture
def python(site: Path, tmp_path: Path) -> Crl:
    """Return a function that runs Python, warnings as errors, with `site` installed, in an empty directory."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CRL_")}
        return subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            env={**inherited, "PYTHONPATH": str(site), "COLUMNS": "120", **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )

    return run


@pytest.fixture
def crl(python: Crl) -> Crl:
    """Return a function that runs the real command line."""
    return lambda *arguments, **variables: python("-m", "crl_core", *arguments, **variables)
