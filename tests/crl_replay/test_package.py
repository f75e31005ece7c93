from __future__ import annotations

import subprocess
import sys

import pytest

import crl_replay


def test_every_public_name_resolves() -> None:
    assert sorted(crl_replay.__all__) == list(crl_replay.__all__) == dir(crl_replay)
    for name in crl_replay.__all__:
        assert getattr(crl_replay, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="ReplayBufer"):
        crl_replay.ReplayBufer  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import crl_replay, sys; print(sorted({'torch', 'numpy', 'lmdb', 'zstandard', 'psutil'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[]"
