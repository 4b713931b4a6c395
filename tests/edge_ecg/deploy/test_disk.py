"""The steps of which all changes are made: what they do, what they sync, what they leave when they fail."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_ecg.deploy.disk import Disk, Step, disk_errors, nearest_folder, read_json
from edge_ecg.errors import DataError


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Device and inode of everything that is really synced, in order."""
    found: list[tuple[int, int]] = []
    real = os.fsync

    def fsync(number: int) -> None:
        status = os.fstat(number)
        found.append((status.st_dev, status.st_ino))
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def test_a_replaced_file_is_synced_and_then_its_folder(tmp_path: Path, synced: list[Any]) -> None:
    Disk().replace_file(tmp_path / "a", b"new")
    assert synced == [identity(tmp_path / "a"), identity(tmp_path)]
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_link_a_removal_and_a_line_are_synced(tmp_path: Path, synced: list[Any]) -> None:
    disk = Disk()
    disk.replace_link(tmp_path / "link", "somewhere")
    disk.replace_link(tmp_path / "link", "elsewhere")
    assert os.readlink(tmp_path / "link") == "elsewhere"
    disk.delete(tmp_path / "link")
    assert not os.path.lexists(tmp_path / "link")
    assert synced == [identity(tmp_path)] * 3
    synced.clear()
    disk.delete(tmp_path / "link")
    assert synced == []
    disk.append(tmp_path / "lines", b"1\n")
    disk.append(tmp_path / "lines", b"2\n")
    lines = identity(tmp_path / "lines")
    assert synced == [lines, identity(tmp_path), lines]
    assert (tmp_path / "lines").read_bytes() == b"1\n2\n"


def test_folders_are_made_for_the_user_alone(tmp_path: Path, synced: list[Any]) -> None:
    old = os.umask(0)
    try:
        Disk().make_folder(tmp_path / "a" / "b")
    finally:
        os.umask(old)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert synced == [identity(tmp_path), identity(tmp_path / "a")]
    Disk().make_folder(tmp_path / "a" / "b")
    assert len(synced) == 2


def test_a_tree_is_removed_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "file").touch()
    (tree / "a" / "out").symlink_to(tmp_path / "kept")
    (tree / "loop").symlink_to(tree)
    (tree / "nowhere").symlink_to("nothing")
    Disk().remove_tree(tree)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept" / "file").exists()


@pytest.mark.parametrize("kind", ["write", "sync", "rename"])
def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def fail(step: Step) -> None:
        if step.kind == kind:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        Disk(fail).replace_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_system_that_cannot_sync_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number = [errno.EINVAL]

    def fsync(_: int) -> None:
        raise OSError(number[0], "no")

    monkeypatch.setattr(os, "fsync", fsync)
    Disk().sync_folder(tmp_path)
    number[0] = errno.EIO
    with pytest.raises(OSError, match="no"):
        Disk().sync_folder(tmp_path)


@given(st.binary(max_size=100))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_json_of_any_bytes(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    found = read_json(tmp_path / "a", max_bytes=50)
    if found is not None:
        assert len(data) <= 50
        assert found == json.loads(data)


def test_json_that_is_not_there_or_too_deep(tmp_path: Path) -> None:
    assert read_json(tmp_path / "none") is None
    (tmp_path / "deep").write_text("[" * 100_000)
    assert read_json(tmp_path / "deep") is None
    with pytest.raises(OSError, match="directory"):
        read_json(tmp_path)


def test_the_nearest_folder(tmp_path: Path) -> None:
    assert nearest_folder(tmp_path / "a" / "b") == tmp_path
    (tmp_path / "a").touch()
    assert nearest_folder(tmp_path / "a" / "b") == tmp_path
    assert nearest_folder(Path("/")) == Path("/")


def test_an_error_of_the_disk_says_where_and_what(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught, disk_errors("To do it"):
        (tmp_path / "none" / "file").touch()
    assert caught.value.what == "To do it failed; what ran before still runs."
    assert caught.value.why == f"{tmp_path}/none/file: No such file or directory."
    with pytest.raises(DataError) as caught, disk_errors("To do it"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.why == "No space left on device."
