"""The reader's thread: devices that are not there, go, end, refuse; and what it tells of that."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge_ecg.discovery import FoundPort
from edge_ecg.errors import DataError, DeviceError, UsageError
from edge_ecg.model import Model
from edge_ecg.samples import SourceEvent, SourceInfo
from edge_ecg.service import reader as reader_module
from edge_ecg.service import world as world_module
from edge_ecg.service.log import Log
from edge_ecg.service.pulse import Pulse, Reading, Stage
from edge_ecg.service.reader import Reader
from edge_ecg.service.schema import ServiceConfig
from edge_ecg.service.world import World, only_port

FS_HZ = 256.0
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class Rig:
    """A reader whose device is a list: of what each try to open it gives."""

    def __init__(self, model: Model, tries: list[Any], config: ServiceConfig) -> None:
        self.said = io.StringIO()
        self.opened: list[str] = []
        self.pulse = Pulse(time.monotonic())
        self._tries = iter(tries)
        world = World(time.monotonic, lambda: NOW, io.StringIO(), self._open, lambda: "/dev/ttyUSB7")
        self.reader = Reader(config, model, None, self.pulse, Log(self.said), world)

    def _open(self, address: str, **_: object) -> Any:
        self.opened.append(address)
        one = next(self._tries, None)
        if one is None:
            raise DeviceError("There is nothing more.")
        if isinstance(one, BaseException):
            raise one
        return one

    def until(self, what: Callable[[Reading], object]) -> Reading:
        until = time.monotonic() + 20
        while not what(self.pulse.reading):
            assert time.monotonic() < until, (
                self.pulse.reading,
                self.said.getvalue(),
                self.reader.failure_text,
            )
            time.sleep(0.01)
        return self.pulse.reading


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    class Soon(reader_module.BackOff):
        @property
        def delay_s(self) -> float:
            return 0.01

    monkeypatch.setattr(reader_module, "BackOff", Soon)


@pytest.fixture
def rig(model: Model) -> Iterator[Callable[..., Rig]]:
    rigs: list[Rig] = []

    def make(*tries: Any, config: ServiceConfig | None = None) -> Rig:
        one = Rig(model, list(tries), config or ServiceConfig())
        rigs.append(one)
        one.reader.start()
        return one

    yield make
    for one in rigs:
        assert one.reader.stop(5.0)


@pytest.fixture
def stream(list_source: Any, heart: Any, cut: Any) -> Callable[..., Any]:
    """``stream(address, seconds, *more)``: a source of so much ECG, then what else is given."""

    def make(address: str, seconds: float, *more: Any) -> Any:
        source = list_source([*cut(heart(seconds, FS_HZ), FS_HZ), *more], FS_HZ)
        source.info = SourceInfo(address, "text", FS_HZ)
        return source

    return make


def test_it_tries_until_the_device_is_there_and_says_each_reason_once(
    rig: Callable[..., Rig], stream: Callable[..., Any]
) -> None:
    missing = DeviceError("There is no port /dev/ttyUSB7.", remedy="Plug it in.")
    busy = DeviceError("/dev/ttyUSB7 is in use.")
    one = rig(missing, missing, missing, busy, stream("/dev/ttyUSB7", 13.0))
    reading = one.until(lambda now: now.decisions)
    assert one.opened[:5] == ["/dev/ttyUSB7"] * 5
    assert reading.samples > 0
    said = one.said.getvalue()
    assert said.count("There is no port /dev/ttyUSB7. Plug it in.") == 1
    assert said.count("is in use") == 1


def test_a_stream_that_ends_is_looked_for_again(rig: Callable[..., Rig], stream: Callable[..., Any]) -> None:
    one = rig(stream("socket://pi:7000", 11.0), stream("socket://pi:7000", 11.0))
    one.until(lambda now: len(one.opened) > 3)
    assert one.pulse.reading.decisions >= 2
    assert one.said.getvalue().count("Session over") == 2


@pytest.mark.parametrize("address", ["file:/a.edf", "sim:text"])
def test_a_recording_that_is_over_is_not_played_again(
    address: str, rig: Callable[..., Rig], stream: Callable[..., Any]
) -> None:
    one = rig(stream(address, 11.0))
    one.until(lambda now: now.stage is Stage.OVER)
    assert len(one.opened) == 1
    assert "The recording is over" in one.said.getvalue()


@pytest.mark.parametrize("error", [DeviceError("It was unplugged."), DataError("The file is damaged.")])
def test_a_failure_of_the_source_is_survived(
    error: Exception, rig: Callable[..., Rig], stream: Callable[..., Any]
) -> None:
    one = rig(stream("/dev/ttyUSB7", 11.0, error), stream("/dev/ttyUSB7", 11.0))
    one.until(lambda now: len(one.opened) > 2)
    assert one.reader.failure is None
    assert f"ended: {str(error).rstrip('.')}" in one.said.getvalue()


def test_a_door_that_refuses_an_option_is_no_end(rig: Callable[..., Rig], stream: Callable[..., Any]) -> None:
    one = rig(UsageError("The address has an unknown option."), stream("/dev/ttyUSB7", 11.0))
    one.until(lambda now: now.decisions)
    assert "unknown option" in one.said.getvalue()


def test_events_move_the_stage(rig: Callable[..., Rig], list_source: Any) -> None:
    hold = threading.Event()

    class Slow(list_source):  # type: ignore[misc]
        turns = 5

        def __iter__(self) -> Iterator[Any]:
            yield SourceEvent("connected")
            yield SourceEvent("lost", 1.0, {"why": "it is off"})
            hold.wait(20)
            yield SourceEvent("reconnected", 2.0)
            again.wait(20)

    again = threading.Event()
    source = Slow([], FS_HZ)
    source.info = SourceInfo("bt:00", "shimmer3", FS_HZ)
    one = rig(source)
    reading = one.until(lambda now: now.why == "it is off")
    assert reading.stage is Stage.LOOKING
    one.reader.feel(reading.sign_s + 100)
    assert one.pulse.reading.sign_s == reading.sign_s + 100
    one.reader.feel(reading.sign_s + 200)  # the number stood still
    assert one.pulse.reading.sign_s == reading.sign_s + 100
    hold.set()
    assert one.until(lambda now: now.stage is Stage.STREAMING).device == "shimmer3 at bt:00"
    again.set()


def test_what_the_rate_does_not_allow_ends_it_as_a_usage_error(
    rig: Callable[..., Rig], stream: Callable[..., Any]
) -> None:
    config = ServiceConfig()
    config = replace(config, model=replace(config.model, hop_s=1e-9))
    one = rig(stream("/dev/ttyUSB7", 11.0), config=config)
    one.until(lambda now: one.reader.failure)
    assert isinstance(one.reader.failure, UsageError)


def test_a_bug_in_the_model_is_kept_for_the_main_thread(
    rig: Callable[..., Rig], stream: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(*_: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("edge_ecg.deciding.Decider.decide", raises)
    one = rig(stream("/dev/ttyUSB7", 13.0))
    one.until(lambda now: one.reader.failure)
    assert isinstance(one.reader.failure, ZeroDivisionError)
    assert "planted" in one.reader.failure_text
    assert "Session over" in one.said.getvalue()


def test_a_file_of_decisions_that_cannot_be_written_stops_no_decision(
    rig: Callable[..., Rig], stream: Callable[..., Any], tmp_path: Path
) -> None:
    config = ServiceConfig()
    config = replace(config, output=replace(config.output, file=str(tmp_path / "nowhere" / "x.jsonl")))
    one = rig(stream("/dev/ttyUSB7", 13.0), config=config)
    one.until(lambda now: now.decisions)
    assert "cannot be written" in one.said.getvalue()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk here that is always full")
def test_nor_does_a_disk_that_is_full_end_it(rig: Callable[..., Rig], stream: Callable[..., Any]) -> None:
    config = ServiceConfig()
    config = replace(config, output=replace(config.output, file="/dev/full"))
    one = rig(stream("/dev/ttyUSB7", 13.0), stream("/dev/ttyUSB7", 13.0), config=config)
    one.until(lambda now: now.decisions >= 2 and len(one.opened) > 2)
    assert one.reader.failure is None
    assert one.said.getvalue().count("cannot be written") == 2


def port(name: str, *, streams: bool = True) -> FoundPort:
    return FoundPort(name, name, "a board", streams=streams)


@pytest.mark.parametrize(
    ("ports", "words"),
    [
        ([], "No device is plugged in"),
        ([port("/dev/a", streams=False)], "No device is plugged in"),
        ([port("/dev/a"), port("/dev/b")], "2 devices to choose from"),
    ],
)
def test_without_a_port_there_must_be_one_device(
    ports: list[FoundPort], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world_module, "find_serial_ports", lambda: ports)
    with pytest.raises(DeviceError, match=words):
        only_port()
    monkeypatch.setattr(
        world_module, "find_serial_ports", lambda: [port("/dev/a"), port("/dev/b", streams=False)]
    )
    assert only_port() == "/dev/a"
