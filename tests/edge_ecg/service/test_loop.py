"""The main thread's judgement, twice a second, with a clock and a device of the test's own."""

from __future__ import annotations

import io
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_ecg.deploy import Home, Releases
from edge_ecg.deploy.health import read_health
from edge_ecg.errors import DeviceError
from edge_ecg.model import Model
from edge_ecg.samples import SampleBlock, SourceEvent, SourceInfo
from edge_ecg.service import loop as loop_module
from edge_ecg.service.log import Log
from edge_ecg.service.loop import Loop, Setting
from edge_ecg.service.notify import Notifier
from edge_ecg.service.pulse import FLOW_S
from edge_ecg.service.reader import REOPEN_S, World
from edge_ecg.service.schema import ServiceConfig
from edge_ecg.service.standing import Standing
from edge_ecg.service.starting import Engine

BEGIN = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
FS_HZ = 256.0


class Hand:
    """A source that gives what the test puts in its hand, one by one."""

    turns = 0

    def __init__(self) -> None:
        self.info = SourceInfo("bt:00:06:66:AA:BB:CC", "shimmer3", FS_HZ)
        self.closed = threading.Event()
        self._items: list[SampleBlock | SourceEvent] = []
        self._more = threading.Condition()

    def give(self, item: SampleBlock | SourceEvent) -> None:
        with self._more:
            self._items.append(item)
            self._more.notify_all()

    def __iter__(self) -> Iterator[SampleBlock | SourceEvent]:
        while True:
            with self._more:
                while not self._items and not self.closed.is_set():
                    self._more.wait(0.02)
                if self.closed.is_set():
                    return
                item = self._items.pop(0)
            yield item

    def close(self) -> None:
        self.closed.set()


class Rig:
    """A loop whose waiting is a script: each step moves the clock and does something."""

    def __init__(self, home: Home, model: Model, folder: Path, release: str = "") -> None:
        self.now_s = 0.0
        self.home = home
        self.said = io.StringIO()
        self.sources: list[Hand] = []
        self.missing = False
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.told.bind(str(folder / "notify"))
        self.told.setblocking(False)
        log = Log(self.said)
        world = World(
            lambda: self.now_s, lambda: BEGIN + timedelta(seconds=self.now_s), io.StringIO(),
            self._open, lambda: "bt:00:06:66:AA:BB:CC",
        )  # fmt: skip
        self.standing = Standing(Releases(home, lambda: 1_800_000_000.0), release, log)
        self.notifier = Notifier(str(folder / "notify"))
        self.loop = Loop(
            home, Setting(ServiceConfig(), Engine(model, None)), self._read, self.notifier, log, world,
            self.standing, self._wait,
        )  # fmt: skip
        self._script: Iterator[int | None] = iter(())

    def run(self, script: Iterator[int | None]) -> int:
        self._script = script
        return self.loop.run()

    def messages(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.told.recv(65536).decode())
            except BlockingIOError:
                return found

    def until(self, what: Callable[[], object]) -> None:
        """Wait, in real time, until the reader's thread has done something."""
        for _ in range(2000):
            if what():
                return
            threading.Event().wait(0.01)
        raise AssertionError(self.said.getvalue())

    @property
    def reading(self) -> Any:
        return self.loop._pulse.reading

    def _wait(self, _seconds: float) -> int | None:
        return next(self._script, signal.SIGTERM)

    def _open(self, *_: object, **__: object) -> Any:
        if self.missing:
            raise DeviceError("There is nothing here.")
        self.sources.append(Hand())
        return self.sources[-1]

    def _read(self) -> Setting:
        raise DeviceError("no configuration of this test's")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def rig(home: Home, model: Model, tmp_path: Path) -> Iterator[Rig]:
    one = Rig(home, model, tmp_path)
    yield one
    one.notifier.close()
    one.told.close()


def block(seconds: float, at_s: float = 0.0) -> SampleBlock:
    import numpy as np

    return SampleBlock(np.zeros(round(seconds * FS_HZ)), FS_HZ, round(at_s * FS_HZ))


def test_fed_while_samples_flow_and_not_when_they_stop(rig: Rig) -> None:
    def script() -> Iterator[None]:
        rig.until(lambda: rig.reading.stage == "streaming")
        for second in range(20):
            rig.now_s = float(second)
            rig.sources[0].give(block(1.0, second))
            rig.until(lambda second=second: rig.reading.samples == 256 * (second + 1))
            rig.messages()
            yield
            assert "WATCHDOG=1" in rig.messages()
        rig.now_s = 19.0 + FLOW_S
        yield
        assert "WATCHDOG=1" in rig.messages()
        for _ in range(3):
            rig.now_s += 1.0
            yield
            sent = rig.messages()
            assert "WATCHDOG=1" not in sent
        health = read_health(rig.home)
        assert health is not None
        assert health.error is not None
        assert "no sample went through" in health.error
        rig.sources[0].give(block(1.0, 20))
        rig.until(lambda: rig.reading.samples == 256 * 21)
        rig.messages()
        yield
        assert "WATCHDOG=1" in rig.messages()

    assert rig.run(script()) == 0
    assert rig.said.getvalue().count("The watchdog is not fed") == 1
    assert "STOPPING=1" in rig.messages()
    assert rig.sources[0].closed.is_set()
    health = read_health(rig.home)
    assert health is not None
    assert not health.ready


def test_a_device_that_was_lost_for_five_minutes_is_opened_anew(rig: Rig) -> None:
    def script() -> Iterator[None]:
        rig.until(lambda: rig.reading.stage == "streaming")
        rig.sources[0].give(SourceEvent("lost", 0.0, {"why": "out of range"}))
        rig.until(lambda: rig.reading.stage == "looking")
        while rig.now_s < REOPEN_S:
            rig.now_s += 30.0
            rig.sources[0].turns += 1
            rig.messages()
            yield
            assert "WATCHDOG=1" in rig.messages()
        assert len(rig.sources) == 1
        rig.now_s += 1.0
        yield
        rig.until(lambda: len(rig.sources) == 2)
        assert rig.sources[0].closed.is_set()

    assert rig.run(script()) == 0


def test_ready_does_not_wait_for_a_device(rig: Rig) -> None:
    rig.missing = True

    def script() -> Iterator[None]:
        assert "READY=1" in rig.messages()
        rig.until(lambda: rig.reading.why)
        rig.now_s = 2.0
        yield
        assert any("There is nothing here" in text for text in rig.messages())
        health = read_health(rig.home)
        assert health is not None
        assert (health.ready, health.error, health.pid) == (True, None, os.getpid())

    assert rig.run(script()) == 0


def test_a_reload_that_cannot_be_used_changes_nothing(rig: Rig) -> None:
    def script() -> Iterator[int | None]:
        rig.until(lambda: rig.sources)
        rig.messages()
        yield signal.SIGHUP
        sent = rig.messages()
        assert sent[0].startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert "READY=1" in sent
        assert not rig.sources[0].closed.is_set()

    assert rig.run(script()) == 0
    assert "What was configured before goes on." in rig.said.getvalue()


def test_health_that_cannot_be_written_is_told_once_and_ends_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loop_module, "write_health", refuses)

    def script() -> Iterator[None]:
        for _ in range(5):
            rig.now_s += 2.0
            yield

    rig.missing = True
    assert rig.run(script()) == 0
    assert rig.said.getvalue().count("No space left on device") == 1


# -- a release on trial --------------------------------------------------------------------------------


@pytest.fixture
def releases(home: Home, tmp_path: Path, service_bundles: tuple[list[Path], Path]) -> Releases:
    runtime = tmp_path / "runtime" / "bin"
    runtime.mkdir(parents=True)
    (runtime / "edge-ecg").touch()
    (runtime / "edge-ecg").chmod(0o755)
    releases = Releases(home, lambda: 1_800_000_000.0)
    for path, watch_s in zip(service_bundles[0], (None, 60.0), strict=True):
        releases.switch(releases.create(path, str(runtime.parent), {}), watch_s)
    return releases


@pytest.fixture
def trial(home: Home, model: Model, tmp_path: Path, releases: Releases) -> Iterator[Rig]:
    current = releases.current()
    assert current is not None
    one = Rig(home, model, tmp_path, current.name)
    yield one
    one.notifier.close()
    one.told.close()


def test_it_is_confirmed_at_the_end_of_its_watch_and_not_before(trial: Rig, releases: Releases) -> None:
    trial.missing = True

    def script() -> Iterator[None]:
        trial.now_s = 59.9
        yield
        assert releases.trial() is not None
        trial.now_s = 60.0
        yield
        assert releases.trial() is None

    assert trial.run(script()) == 0
    assert f"{trial.standing.release} has proved itself" in trial.said.getvalue()


def test_a_pipeline_that_swallows_everything_is_taken_back(
    trial: Rig, releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_ecg.pipeline.Pipeline.push", lambda self, block: [])
    monkeypatch.setattr("edge_ecg.pipeline.Pipeline.flush", lambda self: [])

    def script() -> Iterator[None]:
        trial.until(lambda: trial.reading.stage == "streaming")
        trial.sources[0].give(block(60.0))
        trial.until(lambda: trial.reading.signal_s >= 60)
        yield
        raise AssertionError("it went on")

    assert trial.run(script()) == 1
    (bad,) = releases.bad().values()
    assert bad.reason == "60 s of signal went in, and not one window was judged."


def test_a_switch_ends_it_well(trial: Rig, releases: Releases) -> None:
    def script() -> Iterator[None]:
        yield
        releases.revert("somebody wants it")
        yield
        raise AssertionError("it went on")

    trial.missing = True
    assert trial.run(script()) == 0
    assert "Another release is current now" in trial.said.getvalue()


def test_a_lock_that_another_holds_is_waited_for_in_the_next_round(
    trial: Rig, releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.missing = True
    real, tries = Releases.confirm, iter((True, False))

    def confirm(self: Releases, release: str | None = None) -> Any:
        if next(tries):
            raise DeviceError("Another program is changing this.")
        return real(self, release)

    monkeypatch.setattr(Releases, "confirm", confirm)

    def script() -> Iterator[None]:
        trial.now_s = 61.0
        yield
        assert releases.trial() is not None
        yield
        assert releases.trial() is None

    assert trial.run(script()) == 0
    assert "could not be confirmed yet" in trial.said.getvalue()
