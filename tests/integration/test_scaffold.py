"""What `crl new` writes passes its own lint, whatever its names; the nox session `scaffold` does the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from crl_core.scaffold.names import Kind, choose_names
from crl_core.scaffold.render import render
from crl_core.scaffold.write import write_package

KINDS: tuple[Kind, ...] = get_args(Kind)
SHORT, LONG = ("a", None), ("my-very-long-algorithm-name-30", "the-longest-distribution-that-there-can-be-45")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "distribution"), [SHORT, ("Z", None), LONG])
def test_lint(tmp_path: Path, kind: Kind, name: str, distribution: str | None) -> None:
    package = tmp_path / "package"
    write_package(package, render(kind, choose_names(kind, name, distribution)))
    for command in (["check"], ["format", "--diff"]):
        result = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
            cwd=package,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
