"""LSL: real streams of pylsl on this machine's loopback."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from edge_ecg.errors import DeviceError, UsageError
from edge_ecg.samples import SampleBlock, SourceInfo
from edge_ecg.sinks.lsl_outlet import LslOutlet
from edge_ecg.sources.address import parse_address
from edge_ecg.sources.lsl import LslDoor, open_lsl
from edge_ecg.sources.lsl_link import find_lsl
from edge_ecg.sources.lsl_session import LslSession
from edge_ecg.sources.session_source import SessionSource

try:
    import pylsl
except (ImportError, RuntimeError):
    pylsl = None
needs_lsl = pytest.mark.skipif(pylsl is None, reason="pylsl or liblsl is not installed")

NUMBERS = itertools.count()


class Sender:
    """A pylsl outlet with one ECG channel beside another, and a name that nobody else has."""

    def __init__(
        self,
        *,
        fs_hz: float = 250.0,
        unit: str = "microvolts",
        type_: str = "ECG",
        channels: tuple[tuple[str, str], ...] = (("resp", "RESP"), ("lead II", "ECG")),
        described: bool = True,
        source_id: str = "",
        channel_format: str = "float32",
    ) -> None:
        number = next(NUMBERS)
        self.source_id = source_id or f"edge-ecg test {os.getpid()} {number}"
        self.name = f"Test {os.getpid()} {number}"
        self.width = len(channels)
        info = pylsl.StreamInfo(self.name, type_, self.width, fs_hz, channel_format, self.source_id)
        if described:
            node = info.desc().append_child("channels")
            for label, kind in channels:
                channel = node.append_child("channel")
                for key, value in (("label", label), ("unit", unit), ("type", kind)):
                    channel.append_child_value(key, value)
        self.outlet = pylsl.StreamOutlet(info)

    def push(self, first: int, end: int, fs_hz: float = 250.0, since_s: float = 5000.0) -> None:
        """Send the numbers from ``first`` up to ``end`` in the last channel, stamped at their rate."""
        rows = np.zeros((end - first, self.width), np.float32)
        rows[:, -1] = np.arange(first, end)
        self.outlet.push_chunk(rows.tolist(), since_s + (end - 1) / fs_hz)

    def resolve(self, timeout_s: float) -> list[Any]:
        return list(pylsl.resolve_byprop("source_id", self.source_id, 1, 5.0))


@pytest.fixture
def opened() -> Iterator[Callable[..., SessionSource]]:
    """Open an ``lsl:`` address; the samples are sent as soon as somebody listens."""
    threads: list[threading.Thread] = []

    def begin(sender: Sender, work: Callable[[], None], options: str = "") -> SessionSource:
        def wait_and_work() -> None:
            if sender.outlet.wait_for_consumers(10.0):
                work()

        threads.append(threading.Thread(target=wait_and_work))
        threads[-1].start()
        address = parse_address(f"lsl:{sender.name}{options}")
        link, session = LslDoor(address, resolve=sender.resolve).connect()
        return SessionSource(address, link, session)

    yield begin
    for thread in threads:
        thread.join(10.0)


def read(source: SessionSource, until: int) -> list[SampleBlock]:
    blocks = []
    for item in source:
        if isinstance(item, SampleBlock):
            blocks.append(item)
            if item.first_sample + len(item) >= until:
                break
    return blocks


@needs_lsl
def test_a_stream_of_pylsl(opened: Callable[..., SessionSource]) -> None:
    sender = Sender()

    def work() -> None:
        for first in range(0, 1500, 50):
            if first != 1000:
                sender.push(first, first + 50)

    with opened(sender, work) as source:
        assert source.info.device == "lsl"
        assert source.info.fs_hz == 250.0
        assert source.info.details["channel"] == "lead II"
        assert source.info.details["source_id"] == sender.source_id
        blocks = read(source, 1400)
    values = np.concatenate([block.ecg_mv for block in blocks]) * 1e3
    numbers = np.concatenate([block.first_sample + np.arange(len(block)) for block in blocks])
    np.testing.assert_allclose(values, numbers, atol=1e-3)
    assert sum(block.gap_before for block in blocks) == 50
    times = [block.time_s for block in blocks if block.time_s is not None]
    np.testing.assert_allclose(np.concatenate(times), numbers / 250.0, atol=1e-3)


@needs_lsl
def test_a_stream_that_ends_is_read_to_its_last_sample(opened: Callable[..., SessionSource]) -> None:
    sender = Sender()

    def work() -> None:
        sender.push(0, 1000)
        source_read.wait(10.0)
        sender.outlet = None

    source_read = threading.Event()
    count = 0
    with opened(sender, work) as source, pytest.raises(DeviceError, match="link was lost"):  # noqa: PT012
        for item in source:
            if isinstance(item, SampleBlock):
                count += len(item)
                source_read.set()
    assert count == 1000


@needs_lsl
def test_a_stream_that_comes_back_is_found_by_its_source_id(opened: Callable[..., SessionSource]) -> None:
    first = Sender(source_id=f"edge-ecg comes back {os.getpid()}")
    door = LslDoor(parse_address(f"lsl:{first.name}"), resolve=first.resolve)
    link, _ = door.connect()
    first.outlet = None
    second = Sender(source_id=first.source_id)
    assert second.name != first.name
    again, session = door.connect()
    assert again.name == f"lsl:{second.name}"
    assert isinstance(session, LslSession)
    link.close()
    again.close()


@needs_lsl
@pytest.mark.parametrize(
    ("how", "options", "error", "what"),
    [
        ({"unit": "counts"}, "", DeviceError, "does not say in which unit.*'counts'.*unit="),
        ({"described": False}, "", DeviceError, "does not say in which unit.*names none"),
        ({}, "?channel=V5", UsageError, "no channel 'V5'.*1 resp, 2 lead II"),
        ({"type_": "EEG", "described": False}, "", UsageError, "does not say which channel is an ECG"),
        ({"channel_format": "string"}, "", DeviceError, "carries text, not samples"),
    ],
)
def test_streams_that_cannot_be_read(
    how: dict[str, Any], options: str, error: type[Exception], what: str
) -> None:
    sender = Sender(**how)
    with pytest.raises(error, match=what):
        LslDoor(parse_address(f"lsl:{sender.name}{options}"), resolve=sender.resolve).connect()


@needs_lsl
@pytest.mark.parametrize(
    ("how", "options", "channel"),
    [
        ({"described": False}, "?unit=mv&channel=2", 2),
        ({"type_": "EXG"}, "", "lead II"),
        ({}, "?channel=RESP", "resp"),
        ({"unit": "counts"}, "?unit=uv&channel=lead II", "lead II"),
    ],
)
def test_what_the_stream_does_not_say_the_address_may(
    how: dict[str, Any], options: str, channel: str | int
) -> None:
    sender = Sender(**how)
    door = LslDoor(parse_address(f"lsl:{sender.name}{options}"), resolve=sender.resolve)
    link, session = door.connect()
    link.close()
    assert session.settings.details["channel"] == channel


@needs_lsl
def test_a_stream_that_nobody_sends_names_those_there_are() -> None:
    sender = Sender()
    with pytest.raises(DeviceError, match="no LSL stream 'nobody'") as raised:
        LslDoor(parse_address("lsl:nobody"), resolve=sender.resolve).connect()
    assert raised.value.why == f"There are lsl:{sender.name} (ECG)."
    with pytest.raises(DeviceError, match="no LSL stream of type ECG") as raised:
        LslDoor(parse_address("lsl:"), resolve=lambda timeout_s: []).connect()
    assert "No stream answered within 5 s" in raised.value.why


@needs_lsl
def test_listing_the_streams_of_the_network() -> None:
    sender = Sender()
    mine = [one for one in find_lsl(1.0) if one.source_id == sender.source_id]
    assert [(one.name, one.type, one.channels, one.nominal_hz) for one in mine] == [
        (sender.name, "ECG", 2, 250.0)
    ]


@needs_lsl
def test_from_our_outlet_through_lsl_to_our_inlet(opened: Callable[..., SessionSource]) -> None:
    """And what pylsl itself reads of it: unit, stamps, a hole that is a hole."""
    name = f"Outlet {os.getpid()}"
    rng = np.random.default_rng(4)
    ecg_mv = rng.normal(size=2000)
    outlet = LslOutlet(SourceInfo("sim:", "shimmer3", 250.0, {"serial": name}), name)
    (info,) = pylsl.resolve_byprop("name", name, 1, 5.0)
    reader = pylsl.StreamInlet(info)
    assert reader.info(5.0).desc().child("channels").child("channel").child_value("unit") == "microvolts"
    reader.open_stream(5.0)
    link, session = LslDoor(parse_address(f"lsl:{name}"), resolve=lambda timeout_s: [info]).connect()
    begin_s = time.monotonic()
    for first in range(0, 2000, 20):
        if first != 1500:
            late_s = 0.01 * rng.random()
            arrived_s = begin_s + (first + 19) / 250.0 + late_s
            outlet.push(SampleBlock(ecg_mv[first : first + 20], 250.0, first, arrived_s=arrived_s))
    with SessionSource(parse_address(f"lsl:{name}"), link, session) as source:
        blocks = read(source, 1900)
    numbers = np.concatenate([block.first_sample + np.arange(len(block)) for block in blocks])
    np.testing.assert_allclose(np.concatenate([block.ecg_mv for block in blocks]), ecg_mv[numbers], atol=1e-5)
    assert sum(block.gap_before for block in blocks) == 20
    samples, stamps = reader.pull_chunk(timeout=5.0, max_samples=1980)
    assert len(samples) == 1980
    np.testing.assert_allclose(np.ravel(samples)[:1500], ecg_mv[:1500] * 1e3, rtol=1e-5, atol=1e-4)
    steps = np.diff(stamps)
    assert np.all(steps > 0)
    assert np.argmax(steps) == 1499
    assert steps[1499] == pytest.approx(21 / 250.0, abs=1e-3)
    outlet.close()


@needs_lsl
def test_an_outlet_for_a_device_whose_real_rate_differs() -> None:
    name = f"Polar outlet {os.getpid()}"
    outlet = LslOutlet(SourceInfo("ble:x", "polar", 130.0), name)
    (info,) = pylsl.resolve_byprop("name", name, 1, 5.0)
    reader = pylsl.StreamInlet(info)
    reader.open_stream(5.0)
    begin_s = time.monotonic()
    for first in range(0, 730, 73):
        numbers = first + np.arange(73)
        arrived_s = begin_s + numbers[-1] / 130.9
        outlet.push(SampleBlock(np.zeros(73), 130.0, first, time_s=numbers / 130.9, arrived_s=arrived_s))
    _, stamps = reader.pull_chunk(timeout=5.0, max_samples=730)
    assert len(stamps) == 730
    np.testing.assert_allclose(np.diff(stamps), 1 / 130.9, rtol=0.02)  # clocks are read once a block
    outlet.close()


def test_nothing_of_lsl_is_loaded_for_other_addresses() -> None:
    code = (
        "import sys, json, edge_ecg; edge_ecg.open_source('sim:?speed=max').close(); "
        "print(json.dumps([n for n in sys.modules if 'lsl' in n]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@needs_lsl
def test_the_whole_way_by_address() -> None:
    """With LSL's own resolving, as a user has it."""
    sender = Sender()

    def work() -> None:
        if sender.outlet.wait_for_consumers(20.0):
            sender.push(0, 1000)

    thread = threading.Thread(target=work)
    thread.start()
    with open_lsl(parse_address(f"lsl:{sender.name}")) as source:
        assert source.info.fs_hz == 250.0
        assert len(read(source, 900)) >= 1
    thread.join(10.0)
