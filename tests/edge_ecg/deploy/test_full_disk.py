"""A disk that is full at every level, has no room for names, or may only be read: real ones, in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_ecg.deploy import Home, Releases
from edge_ecg.deploy.start_script import install_start_script
from edge_ecg.errors import DataError

from .crashes import CHANGES, require_runnable, snapshot
from .tiny import NOW, at, make_home

_PAGE = 4096

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """Mount a file system in memory."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill_bytes(disk: Path, pages_left: int) -> None:
    free = os.statvfs(disk).f_bavail
    (disk / "filler").write_bytes(b"x" * _PAGE * max(0, free - pages_left))
    assert os.statvfs(disk).f_bavail == min(free, pages_left)


def fill_names(disk: Path, names_left: int) -> None:
    (disk / "fillers").mkdir()
    for number in range(os.statvfs(disk).f_favail - names_left):
        (disk / "fillers" / str(number)).touch()
    assert os.statvfs(disk).f_favail == names_left


def empty(disk: Path) -> None:
    (disk / "filler").unlink(missing_ok=True)
    shutil.rmtree(disk / "fillers", ignore_errors=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """One megabyte, and names for 200 files."""
    with mounted(tmp_path / "disk", "size=1m,nr_inodes=200") as folder:
        yield folder


def tried(do: Callable[[], object]) -> DataError | None:
    try:
        do()
    except DataError as error:
        return error
    return None


Fill = Callable[[Path, int], None]


_QUICK = ("create", "switch, on trial", "confirm", "revert a trial", "prune")


@pytest.mark.parametrize("fill", [fill_bytes, fill_names])
@pytest.mark.parametrize(
    "name", [name if name in _QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CHANGES]
)
def test_every_change_on_a_disk_that_is_full_at_every_level(
    name: str, fill: Fill, disk: Path, memory: Path
) -> None:
    change, bundles = CHANGES[name], memory / "bundles"
    original = make_home(memory / "home", bundles)
    change.before(at(original), bundles)
    before = snapshot(original)
    done = Home(shutil.copytree(original.root, memory / "done", symlinks=True))
    change.do(at(done), bundles)
    after = snapshot(done)
    failed = 0
    for left in range(40):
        shutil.rmtree(disk / "home", ignore_errors=True)
        home = Home(shutil.copytree(original.root, disk / "home", symlinks=True))
        fill(disk, left)
        error = tried(lambda home=home: change.do(at(home), bundles))
        complete = error is None
        if error is not None:
            failed += 1
            assert "No space left" in error.why
            assert error.remedy
        require_runnable(home, before, after, f"{name} with {left} left")
        empty(disk)
        if complete and not name.startswith("revert"):
            assert snapshot(home)["current"] == after["current"]
            break
        if complete:
            continue
        change.do(at(home), bundles)
        assert snapshot(home) == after
    else:
        assert name.startswith("revert"), "it never had room"
    if name.startswith("revert"):
        assert failed == 0, "going back needs no room"
        assert snapshot(home)["current"] == after["current"]


@pytest.mark.parametrize("fill", [fill_bytes, fill_names])
def test_the_start_script_goes_back_on_a_full_disk(fill: Fill, disk: Path, bundles: Path) -> None:
    home = make_home(disk / "home", bundles)
    install_start_script(home)
    releases = at(home)
    good = releases.create(bundles / "1.ecgb", "one", {})
    releases.switch(good)
    new = releases.create(bundles / "2.ecgb", "one", {})
    releases.switch(new, 60.0)
    fill(disk, 0)
    started = []
    env = {"PATH": os.environ["PATH"], "EDGE_ECG_HOME": str(home.root)}
    for _ in range(5):
        done = subprocess.run(
            [home.start_script], capture_output=True, text=True, check=True, timeout=30, env=env
        )
        started.append(done.stdout.split()[0])
    assert started == [new.name] * 3 + [good.name] * 2
    assert releases.current() == good


def test_a_home_that_may_only_be_read(home: Home, releases: Releases, bundles: Path) -> None:
    first, second = (releases.create(bundles / f"{minor}.ecgb", "one", {}) for minor in (1, 2))
    releases.switch(first)
    releases.switch(second)
    before = snapshot(home)
    root = str(home.root)
    if subprocess.run(["mount", "--bind", root, root], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", root], check=True)
        for change in (
            lambda: releases.create(bundles / "3.ecgb", "one", {}),
            lambda: releases.switch(first),
            releases.confirm,
            lambda: releases.revert("by hand"),
            releases.prune,
            lambda: install_start_script(home),
        ):
            with pytest.raises(DataError) as caught:
                change()
            assert "Read-only file system" in caught.value.why
        assert snapshot(home) == before
        assert Releases(home, lambda: NOW).current() == second
    finally:
        subprocess.run(["umount", root], check=True)
