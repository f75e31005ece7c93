"""Files that users write, and the mistakes in them."""

from __future__ import annotations

import os
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
        (
            "a.json",
            b'{"' + b"x" * 1000 + b'": 1, "' + b"x" * 1000 + b'": 2}',
            "has the name 'x{80}' twice in one object",
        ),
        ("a.json", b"[" * 100_000, "is nested too deeply"),
        ("a.json", b"[" * 60 + b"]" * 60, "is nested too deeply, more than 50 lists and objects within each other"),
        ("a.toml", b".".join([b"a"] * 60) + b" = 1", "is nested too deeply, more than 50"),
        ("a.json", b'[{"seed": %s}]' % (b"9" * 5000), "has a whole number of thousands of digits"),
        ("a.toml", b"seed = " + b"9" * 5000, "has a whole number of thousands of digits"),
        ("a.json", b'[1, {"seed": %d}]' % 2**63, r"has at \[1\]\.seed a whole number that does not fit into 64 bits"),
        ("a.toml", b"seed = 0x" + b"f" * 5000, "has at seed a whole number that does not fit into 64 bits"),
        (
            "a.json",
            b'[{"x": ["\\ud800"]}]',
            r"has at \[0\]\.x\[0\] text with \\ud800, which is only half of a character",
        ),
        ("a.json", b'[{"\\udfff": 1}]', r"has at \[0\] text with \\udfff"),
        ("a.toml", b"x = 1979-05-27", "has at x a date or a time; write it as text, in quotes"),
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


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf[1]")
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfx = 1")
    assert read_data(tmp_path / "a.json", error=ConfigError) == [1]
    assert read_data(tmp_path / "a.toml", error=ConfigError) == {"x": 1}


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=r"absent\.json cannot be read: No such file"):
        read_data(tmp_path / "absent.json", error=ExperimentError)
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(ExperimentError, match=r"folder\.json cannot be read: Is a directory"):
        read_data(tmp_path / "folder.json", error=ExperimentError)
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(ExperimentError, match=r"pipe\.json cannot be read: it is a pipe or a device"):
        read_data(tmp_path / "pipe.json", error=ExperimentError)
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(ExperimentError, match=r"huge\.json cannot be read: it has 1,000,000,000,000 bytes"):
        read_data(tmp_path / "huge.json", error=ExperimentError)


@pytest.mark.parametrize("name", ["a\0b.json", "\ud800.json", "x" * 300 + ".json"])
def test_what_can_be_no_file_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(ExperimentError, match="cannot be read: "):
        read_data(tmp_path / name, error=ExperimentError)
