"""The public names of `crl_core`: one list in three places, kept true here."""

from __future__ import annotations

import ast
import importlib
from importlib.metadata import version
from pathlib import Path

import pytest

import crl_core


def type_checking_imports() -> dict[str, str]:
    """Return the names that mypy sees, each with its module."""
    tree = ast.parse(Path(crl_core.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    return {
        alias.name: node.module or "" for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }


def test_table_all_and_type_checking_imports_agree() -> None:
    assert type_checking_imports() == crl_core._MODULES
    assert set(crl_core.__all__) == {*crl_core._MODULES, "__version__"}
    assert dir(crl_core) == sorted(crl_core.__all__)


@pytest.mark.parametrize("name", sorted(crl_core._MODULES))
def test_public_name_is_what_its_module_exports(name: str) -> None:
    module = importlib.import_module(crl_core._MODULES[name])
    assert getattr(crl_core, name) is getattr(module, name)
    assert name in module.__all__


def test_version() -> None:
    assert crl_core.__version__ == version("crl-core")


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'crl_core' has no attribute 'Polcy'"):
        _ = crl_core.Polcy
