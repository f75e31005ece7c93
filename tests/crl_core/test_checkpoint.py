"""Checkpoints are whole or not there, whatever the disk does."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from crl_core import checkpoint as module
from crl_core.checkpoint import Checkpoint, load_checkpoint, resumable_checkpoints, save_checkpoint, write_durably
from crl_core.errors import CheckpointError, RunDirectoryError


def numbered(value: float = 1.0) -> Checkpoint:
    return Checkpoint({"network": {"weight": torch.full((3,), value)}}, {"schedule": {"value": value}})


def names(directory: Path) -> list[str]:
    return [path.name for path in resumable_checkpoints(directory)]


def value_of(path: Path) -> float:
    return float(load_checkpoint(path).policy["network"]["weight"][0])


def test_round_trip(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    network = torch.nn.Linear(2, 3)
    optimizer = torch.optim.Adam(network.parameters())
    torch.autograd.backward(network(torch.ones(1, 2)).sum())
    optimizer.step()
    generator = torch.Generator().manual_seed(7)
    torch.rand(3, generator=generator)
    policy = {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "generator": generator.get_state(),
        "replay": {"count": 3, "slots": [1, 2, 3], "name": "x", "none": None},
    }
    state = {"schedule": {"total_steps": 12}, "returns": [1.5, -2.0]}

    path = save_checkpoint(tmp_path / "checkpoints", "12", Checkpoint(policy, state))
    loaded = load_checkpoint(path)

    assert path == tmp_path / "checkpoints" / "12"
    assert sorted(each.name for each in path.iterdir()) == ["policy.pt", "state.json"]
    assert loaded.state == state
    assert loaded.policy["replay"] == policy["replay"]
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.policy["network"][name], value)
    again = torch.Generator()
    again.set_state(loaded.policy["generator"])
    assert torch.equal(torch.rand(5, generator=again), torch.rand(5, generator=generator))
    torch.optim.Adam(torch.nn.Linear(2, 3).parameters()).load_state_dict(loaded.policy["optimizer"])


def test_the_last_two_to_resume_from_are_kept_and_all_with_a_name(tmp_path: Path) -> None:
    for name in ("0", "cycle0_task0", "900", "1000", "cycle0_task1", "20000"):
        save_checkpoint(tmp_path, name, numbered())
    assert names(tmp_path) == ["20000", "1000"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["1000", "20000", "cycle0_task0", "cycle0_task1"]


def test_steps_are_compared_as_numbers(tmp_path: Path) -> None:
    for name in ("999", "1000", "99999"):
        save_checkpoint(tmp_path, name, numbered())
    assert names(tmp_path) == ["99999", "1000"]


def test_unfinished_ones_do_not_count(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "10", numbered())
    unfinished = tmp_path / ".20.unfinished"
    unfinished.mkdir()
    (unfinished / "policy.pt").write_bytes(b"half")
    assert names(tmp_path) == ["10"]
    save_checkpoint(tmp_path, "20", numbered(2.0))
    assert names(tmp_path) == ["20", "10"]
    assert value_of(tmp_path / "20") == 2.0
    assert not unfinished.exists()


def test_there_may_be_none_yet(tmp_path: Path) -> None:
    assert resumable_checkpoints(tmp_path / "nothing") == []


@pytest.mark.parametrize("name", ["20", "cycle0_task0"])
def test_the_same_name_again_replaces_all_of_it(tmp_path: Path, name: str) -> None:
    first = save_checkpoint(tmp_path, name, numbered(1.0))
    (first / "left_over").write_text("from before")
    save_checkpoint(tmp_path, name, numbered(2.0))
    assert value_of(first) == 2.0
    assert sorted(each.name for each in first.iterdir()) == ["policy.pt", "state.json"]
    assert [each.name for each in tmp_path.iterdir()] == [name]


def fail(*args: Any, **kwargs: Any) -> None:
    raise OSError(28, "No space left on device")


def out_of_space(*args: Any, **kwargs: Any) -> None:
    raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")


@pytest.mark.parametrize(
    ("owner", "name", "failure"),
    [
        (torch, "save", fail),
        (torch, "save", out_of_space),
        (os, "fsync", fail),
        (Path, "rename", fail),
        (Path, "replace", fail),
        (Path, "mkdir", fail),
        (module, "write_durably", fail),
    ],
)
def test_a_failed_write_is_a_message_and_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, failure: Any
) -> None:
    save_checkpoint(tmp_path, "5", numbered(0.5))
    save_checkpoint(tmp_path, "10", numbered(1.0))
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, failure)
        with pytest.raises(RunDirectoryError, match=r"20 cannot be written: .*(No space|write failed).*make room"):
            save_checkpoint(tmp_path, "20", numbered(2.0))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["10", "5"]
    assert value_of(tmp_path / "10") == 1.0
    save_checkpoint(tmp_path, "20", numbered(2.0))  # there is room again
    assert names(tmp_path) == ["20", "10"]


def test_a_full_disk_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "open", lambda self, mode: open("/dev/full", mode))  # noqa: SIM115, PTH123
    with pytest.raises(RunDirectoryError, match="No space left on device"):
        save_checkpoint(tmp_path, "20", Checkpoint({"weight": torch.zeros(500_000)}, {}))


def test_one_that_is_being_deleted_has_no_name_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("5", "10"):
        save_checkpoint(tmp_path, name, numbered())
    monkeypatch.setattr(module.shutil, "rmtree", lambda path, **options: None)  # as if killed before it deletes
    save_checkpoint(tmp_path, "20", numbered())
    assert names(tmp_path) == ["20", "10"]


@pytest.mark.parametrize(
    ("file", "content"),
    [("policy.pt", b"PK\x03\x04 half"), ("policy.pt", b""), ("state.json", b'{"half'), ("state.json", None)],
)
def test_a_damaged_one_is_a_message_that_names_it(tmp_path: Path, file: str, content: bytes | None) -> None:
    path = save_checkpoint(tmp_path, "10", numbered())
    if content is None:
        (path / file).unlink()
    else:
        (path / file).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"the checkpoint .*10 cannot be read"):
        load_checkpoint(path)


def test_what_could_run_code_is_not_loaded(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, ("true",)

    path = tmp_path / "10"
    path.mkdir()
    torch.save({"network": Evil()}, path / "policy.pt")
    (path / "state.json").write_text("{}")
    with pytest.raises(CheckpointError, match="UnpicklingError"):
        load_checkpoint(path)


def test_a_file_is_either_the_old_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "status.json"
    write_durably(path, json.dumps({"state": "running"}))
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_durably(path, json.dumps({"state": "finished"}))
    assert json.loads(path.read_text()) == {"state": "running"}


def test_a_directory_that_is_gone_is_told_and_not_made_again(tmp_path: Path) -> None:
    directory = tmp_path / "run" / "checkpoints"
    with pytest.raises(RunDirectoryError, match="checkpoints was deleted or moved"):
        save_checkpoint(directory, "100", Checkpoint({}, {}))
    assert list(tmp_path.iterdir()) == []
