"""Pages as users follow them: their files written out, their packages installed."""

from __future__ import annotations

import importlib
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import write_metadata
from tests.docs.markdown import ROOT, files

from crl_core.hookspecs import ENTRY_POINT_GROUP
from crl_core.plugins import registry

Follow = Callable[[Path], None]


@pytest.fixture
def follow(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Follow]:
    """Return a function that does what a page says, in an empty directory: write its files, install its package."""
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    before = set(sys.modules)

    def write_and_install(page: Path) -> None:
        for name, code in files(page).items():
            path = site / Path(name).relative_to("src") if name.startswith("src/") else tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)
        project = Path("pyproject.toml")
        if project.exists():
            described = tomllib.loads(project.read_text())["project"]
            points = [f"{key} = {value}\n" for key, value in described["entry-points"][ENTRY_POINT_GROUP].items()]
            write_metadata(site, described["name"], f"[{ENTRY_POINT_GROUP}]\n{''.join(points)}")
        importlib.invalidate_caches()
        registry.cache_clear()

    yield write_and_install
    registry.cache_clear()
    for name in set(sys.modules) - before:
        if str(site) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
