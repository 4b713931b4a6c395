"""Serial lines over Bluetooth LE, and finding out what a device is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edge_ecg_bridge.emulators import (
    PipeEmulator,
    Reservoir,
    Shimmer3Emulator,
    TextEmulator,
)
from edge_ecg_bridge.gatt import (
    HEART_RATE,
    Connected,
    Done,
    Pair,
    Refused,
    Subscribe,
    Value,
    Write,
    short_uuid,
)
from edge_ecg_bridge.gatt_kinds import ChoosingSession, kind_by_advertisement, kind_by_services
from edge_ecg_bridge.gatt_pipe import CYSPP, NORDIC_UART, PIPES, TRANSPARENT_UART, Pipe, PipeSession
from edge_ecg_bridge.movesense import wire
from edge_ecg_bridge.polar import pmd
from edge_ecg_bridge.shimmer3 import ShimmerSession
from edge_ecg_bridge.stream import BridgeError
from edge_ecg_bridge.synthetic import SyntheticEcg
from edge_ecg_bridge.text import TextSession

ECG = SyntheticEcg(seed=3)
QUANTUM_MV = 2420.0 / 4 / (2**23 - 1)


def found(pipe: Pipe, name: str = "board") -> Connected:
    return Connected(frozenset((pipe.notify, pipe.write)), name)


@pytest.mark.parametrize("piece_bytes", [20, 180])
@pytest.mark.parametrize(("pipe", "hardware"), [(CYSPP, 10), (TRANSPARENT_UART, 3)])
def test_a_shimmer(talk: Callable, pipe: Pipe, hardware: int, piece_bytes: int) -> None:
    shimmer = Shimmer3Emulator(ECG, hardware=hardware)
    device = PipeEmulator(shimmer, pipe, name="Shimmer3-1A2B", piece_bytes=piece_bytes)
    said = talk(PipeSession(ShimmerSession()), device)
    n = len(said.ecg_mv)
    assert n > 7 * 256
    assert said.numbers.tolist() == list(range(n))
    assert np.abs(said.ecg_mv - Reservoir(ECG(256.0)).take(n)).max() <= QUANTUM_MV / 2 * 1.001
    said.stop()
    assert not shimmer.streaming


def test_a_board_that_prints_lines(talk: Callable) -> None:
    device = PipeEmulator(TextEmulator(ECG, line="us,adc"), NORDIC_UART, name="ECG board")
    said = talk(PipeSession(TextSession()), device)
    assert (said.ready.device, said.ready.fs_hz) == ("text", 250.0)
    assert said.lost == 0
    assert len(said.ecg_mv) > 7 * 250


def test_what_was_sent_before_anybody_listened_is_lost() -> None:
    device = PipeEmulator(TextEmulator(ECG, line="us,adc"), NORDIC_UART, name="ECG board")
    device.inner.units(0.0)
    assert device.notifications(3.0) == []
    device.subscribe(NORDIC_UART.notify, True, 3.0)
    assert device.notifications(3.0) == []
    assert 0 < sum(one.samples for one in device.notifications(3.1)) <= 26


class Recorder:
    """A byte-stream session that does nothing but remember."""

    def __init__(self) -> None:
        self.heard, self.out, self.started_s = b"", b"", None
        self.finished = False
        self.counters = {"bytes_skipped": 3}

    def start(self, now_s: float) -> None:
        self.started_s = now_s

    def receive(self, data: bytes, now_s: float) -> None:
        self.heard += data

    def on_time(self, now_s: float) -> None:
        pass

    def bytes_to_send(self) -> bytes:
        out, self.out = self.out, b""
        return out

    def events(self) -> list:
        return []

    def stop(self, now_s: float) -> None:
        self.finished = True


@pytest.mark.parametrize("pipe", PIPES, ids=lambda pipe: pipe.name)
def test_step_by_step(pipe: Pipe) -> None:
    inner = Recorder()
    session = PipeSession(inner)
    session.start(0.0)
    session.happened(found(pipe), 1.0)
    assert session.actions() == [Subscribe(pipe.notify)]
    session.happened(Value(pipe.notify, b"stale"), 1.1)
    assert (inner.started_s, inner.heard) == (None, b"")
    session.happened(Done(pipe.notify), 1.2)
    assert inner.started_s == 1.2
    inner.out = bytes(range(50))
    written = session.actions()
    assert [len(action.data) for action in written] == [20, 20, 10]
    assert all(isinstance(action, Write) and action.characteristic == pipe.write for action in written)
    assert b"".join(action.data for action in written) == bytes(range(50))
    session.happened(Value(pipe.notify, b"he"), 1.3)
    session.happened(Value(HEART_RATE, b"no"), 1.3)
    session.happened(Value(pipe.notify, b"llo"), 1.4)
    assert inner.heard == b"hello"
    assert session.counters == {"bytes_skipped": 3}
    session.stop(2.0)
    assert session.finished


def test_pairing_once_and_no_more() -> None:
    session = PipeSession(Recorder())
    session.start(0.0)
    session.happened(found(CYSPP), 0.0)
    session.actions()
    session.happened(Refused(CYSPP.notify, 0x05), 0.1)
    assert session.actions() == [Pair(), Subscribe(CYSPP.notify)]
    with pytest.raises(BridgeError, match="does not let its serial line be used") as caught:
        session.happened(Refused(CYSPP.notify, 0x05), 0.2)
    assert "pair ADDRESS" in caught.value.remedy


def test_a_device_without_a_serial_line() -> None:
    session = PipeSession(Recorder())
    session.start(0.0)
    with pytest.raises(BridgeError, match="Toaster has no serial line"):
        session.happened(Connected(frozenset((HEART_RATE,)), "Toaster"), 0.1)


def test_a_line_that_does_not_open() -> None:
    session = PipeSession(Recorder())
    session.start(0.0)
    session.happened(found(CYSPP), 10.0)
    session.on_time(24.9)
    with pytest.raises(BridgeError, match="did not open within 15 s"):
        session.on_time(25.0)


def test_stopped_before_it_began() -> None:
    session = PipeSession(Recorder())
    session.start(0.0)
    session.stop(0.1)
    assert session.finished


# -- what is it? ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "services", "kind"),
    [
        ("Polar H10 12345678", (), "polar-h10"),
        ("Polar Sense 1234", (pmd.PMD_SERVICE,), None),  # measures no ECG
        ("Movesense 174630000192", (), "movesense"),
        ("", (short_uuid(0xFDF3),), "movesense"),
        ("Shimmer3R-1A2B-BLE", (), "shimmer3"),
        ("my board", (NORDIC_UART.service.upper(),), "uart"),
        ("", (CYSPP.service,), "shimmer3"),
        ("Toaster", (short_uuid(0x180D),), None),
    ],
)
def test_by_advertisement(name: str, services: tuple[str, ...], kind: str | None) -> None:
    assert kind_by_advertisement(name, services) == kind


@pytest.mark.parametrize(
    ("uuids", "kind"),
    [
        ((pmd.PMD_CONTROL, HEART_RATE), "polar-h10"),
        (pmd.OLD_SERVICE_MARKS, "polar-h10"),
        ((wire.COMMAND, wire.DATA), "movesense"),
        ((NORDIC_UART.notify, NORDIC_UART.write), "uart"),
        ((NORDIC_UART.notify,), None),
        ((TRANSPARENT_UART.notify, TRANSPARENT_UART.write), "shimmer3"),
        ((HEART_RATE,), None),
    ],
)
def test_by_services(uuids: tuple[str, ...], kind: str | None) -> None:
    assert kind_by_services(Connected(frozenset(uuids), "X")) == kind


def test_choosing() -> None:
    asked = []
    session = ChoosingSession(lambda kind: asked.append(kind) or PipeSession(Recorder()))
    session.start(0.0)
    assert session.actions() == session.events() == []
    assert session.counters == {}
    session.happened(found(NORDIC_UART), 1.0)
    session.happened(Done(NORDIC_UART.notify), 1.1)
    assert asked == ["uart"]
    assert session.inner.inner.started_s == 1.1
    session.stop(2.0)
    assert session.finished


def test_nothing_known() -> None:
    session = ChoosingSession(lambda kind: PipeSession(Recorder()))
    session.start(0.0)
    session.on_time(14.0)
    with pytest.raises(BridgeError, match="is no ECG sensor that edge-ecg knows"):
        session.happened(Connected(frozenset((HEART_RATE,)), "Toaster"), 14.5)
    with pytest.raises(BridgeError, match="did not say what it offers"):
        session.on_time(15.0)
