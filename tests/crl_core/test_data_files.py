"""Files that users write, and the mistakes in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from crl_core.data_files import read_data
from crl_core.errors import ConfigError, ExperimentError


def test_json_and_toml_give_the_same_data(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"x": {"y": [1, 2.5, "z", true]}}')
    (tmp_path / "a.TOML").write_text('x = { y = [1, 2.5, "z", true] }')
    expected = {"x": {"y": [1, 2.5, "z", True]}}
    assert read_data(tmp_path / "a.json", error=ConfigError) == expected
    assert read_data(tmp_path / "a.TOML", error=ConfigError) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b'[\n  {"x": 1,}\n]', r"is not JSON: .* at line 2, column 1\d"),
        ("a.json", b"", "is not JSON: Expecting value at line 1, column 1"),
        ("a.json", b'{"x": 1, "x": 2}', "has the name 'x' twice in one object"),
        ("a.json", b"[" * 100_000, "is nested too deeply"),
        ("a.json", b"\xff\xfe", "is not UTF-8 text"),
        ("a.toml", b"x = \n", "is not TOML: .*line 1"),
        ("a.yaml", b"x: 1", "should end in .json or .toml"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_data(tmp_path / name, error=ConfigError)
    assert name in str(caught.value)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=r"absent\.json cannot be read: No such file"):
        read_data(tmp_path / "absent.json", error=ExperimentError)
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(ExperimentError, match=r"folder\.json cannot be read: Is a directory"):
        read_data(tmp_path / "folder.json", error=ExperimentError)
