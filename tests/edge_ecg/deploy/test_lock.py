"""The lock of a home, between real processes."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_ecg.deploy import Home
from edge_ecg.deploy.lock import HomeLock
from edge_ecg.errors import DataError

_HOLD = """
import sys
from pathlib import Path
from edge_ecg.deploy.layout import Home
from edge_ecg.deploy.lock import HomeLock
with HomeLock(Home(Path(sys.argv[1]))).to("hold it in a test"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        try:
            yield other
        finally:
            other.kill()


class Time:
    """A clock that goes on when it is slept through."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept = 0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += 1


def test_the_holder_is_named(tmp_path: Path) -> None:
    time = Time()
    with held(tmp_path) as other, pytest.raises(DataError) as caught:
        HomeLock(Home(tmp_path), wait_s=3.0, clock=time, sleep=time.sleep).to("try").__enter__()
    assert f"process {other.pid} (hold it in a test)" in caught.value.why
    assert str(tmp_path) in caught.value.what
    assert 3.0 <= time.now < 3.2
    assert caught.value.exit_code == 5


def test_it_is_had_as_soon_as_the_holder_dies(tmp_path: Path) -> None:
    time = Time()
    with held(tmp_path) as other:

        def sleep(seconds: float) -> None:
            time.sleep(seconds)
            other.send_signal(signal.SIGKILL)
            other.wait()

        with HomeLock(Home(tmp_path), wait_s=3.0, clock=time, sleep=sleep).to("go on"):
            assert Home(tmp_path).lock.read_text() == f"process {os.getpid()} (go on)\n"
    assert time.slept == 1


def test_it_may_be_entered_again_by_its_holder(tmp_path: Path) -> None:
    lock = HomeLock(Home(tmp_path), wait_s=0.0)
    with lock.to("one"), lock.to("two"):
        assert "(one)" in Home(tmp_path).lock.read_text()
    with HomeLock(Home(tmp_path), wait_s=0.0).to("three"), pytest.raises(DataError, match="three"):
        lock.to("four").__enter__()
    with lock.to("five"):
        pass


def test_it_is_given_back_when_something_fails(tmp_path: Path) -> None:
    lock = HomeLock(Home(tmp_path), wait_s=0.0)
    with pytest.raises(ZeroDivisionError), lock.to("fail"):
        raise ZeroDivisionError
    with HomeLock(Home(tmp_path), wait_s=0.0).to("go on"):
        pass


def test_children_do_not_inherit_it(tmp_path: Path) -> None:
    with HomeLock(Home(tmp_path)).to("start a child"):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    try:
        # The system closes the child's copy a moment after it lets us go on.
        with HomeLock(Home(tmp_path), wait_s=10.0).to("go on"):
            assert child.poll() is None
    finally:
        child.communicate(b"\n")


def test_a_home_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Nothing can be changed"):
        HomeLock(Home(tmp_path / "file")).to("try").__enter__()


def test_a_file_system_without_locks_is_said(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refuse)
        with pytest.raises(DataError, match="cannot be had"), HomeLock(home):
            pass
    assert len(os.listdir("/proc/self/fd")) == before
