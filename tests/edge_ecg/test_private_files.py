"""Private files: their mode from the first byte, whatever the umask, and what an interrupted write leaves."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_ecg.private_files import create_private, part_path, private_folder, write_private
from edge_ecg.recorder import Recorder
from edge_ecg.samples import SourceInfo

UMASKS = (0o000, 0o022, 0o277, 0o777)


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", UMASKS)
def test_a_file_is_private_from_the_first_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mask: int
) -> None:
    seen = []

    def fchmod(descriptor: int, bits: int, real=os.fchmod) -> None:  # type: ignore[no-untyped-def]
        # What the file is like right after it was made, before anything else is done with it.
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        real(descriptor, bits)

    monkeypatch.setattr(os, "fchmod", fchmod)
    with umask(mask):
        descriptor = create_private(tmp_path / "one")
    os.write(descriptor, b"x")
    os.close(descriptor)
    assert seen == [0o600 & ~mask]
    assert mode(tmp_path / "one") == 0o600


def test_a_file_that_is_there_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("there", "link"):
        with pytest.raises(FileExistsError):
            create_private(tmp_path / name)
    assert (tmp_path / "there").read_bytes() == b"old"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("mask", UMASKS)
def test_folders_that_are_made_are_private_and_others_stay(tmp_path: Path, mask: int) -> None:
    there = tmp_path / "there"
    there.mkdir(mode=0o755)
    before = mode(there)
    with umask(mask):
        private_folder(there / "a" / "b")
        private_folder(there / "a" / "b")
    assert [mode(there / "a"), mode(there / "a" / "b")] == [0o700, 0o700]
    assert mode(there) == before


@pytest.mark.parametrize("mask", UMASKS)
@pytest.mark.parametrize(("before", "after"), [(None, 0o600), (0o644, 0o600), (0o600, 0o600), (0o400, 0o400)])
def test_a_rewritten_file_never_becomes_looser(
    tmp_path: Path, mask: int, before: int | None, after: int
) -> None:
    path = tmp_path / "one"
    if before is not None:
        path.write_bytes(b"old")
        path.chmod(before)
    # A part that a killed process has left open to all must not become the file.
    part_path(path).write_bytes(b"left")
    part_path(path).chmod(0o666)
    with umask(mask):
        write_private(path, b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", after)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("step", "error"),
    [("fsync", OSError("disk full")), ("fsync", KeyboardInterrupt()), ("fchmod", KeyboardInterrupt())],
)
def test_an_interrupted_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    path = tmp_path / "one"
    write_private(path, b"old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)):
        write_private(path, b"new")
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"old", [path])


def test_a_disk_without_modes_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("a FAT card knows no modes")

    monkeypatch.setattr(os, "fchmod", refuse)
    for text in (b"old", b"new"):
        write_private(tmp_path / "one", text)
    assert (tmp_path / "one").read_bytes() == b"new"


def test_a_write_that_is_killed_leaves_the_old_file_and_a_private_part(tmp_path: Path) -> None:
    path = tmp_path / "one"
    write_private(path, b"old")
    # Killed when the new bytes are written and the rename is still to come.
    program = (
        "import os, pathlib, signal, sys\n"
        "from edge_ecg.private_files import write_private\n"
        "os.umask(0)\n"
        "os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_private(pathlib.Path(sys.argv[1]), b'new')\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (path.read_bytes(), mode(path)) == (b"old", 0o600)
    assert (part_path(path).read_bytes(), mode(part_path(path))) == (b"new", 0o600)
    write_private(path, b"newer")
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"newer", [path])


@pytest.mark.parametrize("mask", UMASKS)
def test_recordings_and_marks_are_private_before_anything_stands_in_them(tmp_path: Path, mask: int) -> None:
    path, marks = tmp_path / "r.csv", tmp_path / "r.marks.csv"
    with umask(mask), Recorder(path, person="P-7f3k") as recorder:
        assert (mode(path), path.stat().st_size) == (0o600, 0)
        recorder.begin(SourceInfo("file:/study/Anna Berg.edf?channel=II&key=Anna", "file:edf", 256.0))
        recorder.mark(0.0, "rest")
        assert mode(marks) == 0o600
        recorder.samples = 1  # something was recorded: the files stay
    assert (mode(path), mode(marks)) == (0o600, 0o600)
    assert path.read_text().splitlines()[4:] == ["# source: file:*.edf?channel=II", "# person: P-7f3k"]
