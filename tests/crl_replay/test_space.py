from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from crl_core.errors import ReplayError
from crl_replay import human_bytes, plan, refuse_network_file_system


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def set_free(count: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=count))

    return set_free


def test_a_plan_takes_the_smaller_of_buffer_and_run(tmp_path: Path, free: Callable[[int], None]) -> None:
    free(10_000_000)
    assert plan(5_000, 10**9, tmp_path).steps == 5_000
    assert plan(10**9, 5_000, tmp_path).steps == 5_000
    assert plan(5_000, 10**9, tmp_path).needed_bytes == pytest.approx(5_000 * 860 * 1.1)
    assert plan(5_000, 10**9, tmp_path, bytes_per_step=10).needed_bytes == 50_000


def test_a_plan_says_whether_it_fits_and_what_would(tmp_path: Path, free: Callable[[int], None]) -> None:
    free(1_000_000)
    small = plan(1_000, 10**9, tmp_path, bytes_per_step=1000)
    assert (small.fits, small.steps_that_fit) == (True, 1_000)
    large = plan(25_000_000, 10**9, tmp_path, bytes_per_step=1000)
    assert (large.fits, large.steps_that_fit) == (False, 1_000)
    assert str(large) == "replay of 25,000,000 steps: about 25.0 GB, 1.0 MB free"


def test_planning_looks_at_the_nearest_parent_and_creates_nothing(tmp_path: Path) -> None:
    result = plan(10, 10, tmp_path / "not" / "yet" / "there")
    assert result.free_bytes > 0
    assert list(tmp_path.iterdir()) == []


def test_a_relative_directory_is_planned_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert plan(10, 10, "runs/replay").fits


def test_what_the_store_takes_already_counts_as_free(tmp_path: Path, free: Callable[[int], None]) -> None:
    free(1000)
    (tmp_path / "data.mdb").write_bytes(bytes(500))
    assert plan(10, 10, tmp_path).free_bytes == 1500


def test_a_directory_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ReplayError, match="file is a file"):
        plan(10, 10, tmp_path / "file" / "replay")


def test_a_directory_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ReplayError, match=f"no permission to write in {tmp_path}.*--large-file-path"):
        plan(10, 10, tmp_path / "replay")


MOUNTS = [("/", "ext4"), ("/home", "nfs4"), ("/home/local", "ext4"), ("/homestead", "xfs"), ("/sshfs", "fuse.sshfs")]


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[tuple[str, str]]], None]:
    def set_mounts(entries: list[tuple[str, str]]) -> None:
        partitions = [SimpleNamespace(mountpoint=point, fstype=kind) for point, kind in entries]
        monkeypatch.setattr(psutil, "disk_partitions", lambda **_: partitions)

    return set_mounts


@pytest.mark.parametrize("path", ["/home", "/home/someone/runs/replay", "/sshfs/replay"])
def test_network_file_systems_are_refused(path: str, mounts: Callable[[list[tuple[str, str]]], None]) -> None:
    mounts(MOUNTS)
    with pytest.raises(ReplayError, match=r"network file system \((nfs4|fuse\.sshfs), .*--large-file-path"):
        refuse_network_file_system(path)


@pytest.mark.parametrize("path", ["/", "/scratch", "/homestead/a", "/home/local", "/home/local/a"])
def test_local_file_systems_pass(path: str, mounts: Callable[[list[tuple[str, str]]], None]) -> None:
    mounts(MOUNTS)
    refuse_network_file_system(path)


@pytest.mark.parametrize(
    "kind", ["nfs", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "fuse.glusterfs", "NFS"]
)
def test_the_usual_network_file_systems_are_known(kind: str, mounts: Callable[[list[tuple[str, str]]], None]) -> None:
    mounts([("/", kind)])
    with pytest.raises(ReplayError, match="network file system"):
        refuse_network_file_system("/replay")


def test_of_two_mounts_on_one_spot_the_later_counts(mounts: Callable[[list[tuple[str, str]]], None]) -> None:
    mounts([("/data", "autofs"), ("/data", "nfs")])
    with pytest.raises(ReplayError, match="network file system"):
        refuse_network_file_system("/data/replay")


def test_links_are_followed(tmp_path: Path, mounts: Callable[[list[tuple[str, str]]], None]) -> None:
    target = tmp_path / "server"
    target.mkdir()
    (tmp_path / "link").symlink_to(target)
    mounts([("/", "ext4"), (str(target.resolve()), "nfs")])
    with pytest.raises(ReplayError, match="network file system"):
        refuse_network_file_system(tmp_path / "link" / "replay")


def test_an_unknown_mount_passes(mounts: Callable[[list[tuple[str, str]]], None]) -> None:
    mounts([])
    refuse_network_file_system("/anywhere")


def test_this_machine_can_be_asked(tmp_path: Path) -> None:
    assert psutil.disk_partitions(all=True) is not None
    plan(1, 1, tmp_path)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_960, "1.0 MB"),
        (13_900_000_000, "13.9 GB"),
        (2e15, "2.0 PB"),
        (5e18, "5000.0 PB"),
    ],
)
def test_bytes_read_well(count: float, text: str) -> None:
    assert human_bytes(count) == text


def test_a_path_that_no_file_system_takes_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="cannot be used: File name too long"):
        plan(1000, 1000, tmp_path / ("x" * 300))
