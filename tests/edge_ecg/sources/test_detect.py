"""Finding out what is behind a port, and what is said when it is nothing known."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge_ecg.errors import DeviceError, UsageError
from edge_ecg.samples import SampleBlock
from edge_ecg.sources import open_source
from edge_ecg.sources.detect import LIMIT_S, find_kind
from edge_ecg.sources.simulated import VirtualTransport
from edge_ecg_bridge.emulators import (
    DockEmulator,
    Emulator,
    GarbageEmulator,
    Shimmer3Emulator,
    SilentEmulator,
    TextEmulator,
)
from edge_ecg_bridge.shimmer3 import commands
from edge_ecg_bridge.stream import BridgeError
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=11)


def found_in(emulator: Emulator, **more: object) -> tuple[str, float]:
    """The kind, and after how many seconds of the device's time."""
    transport = VirtualTransport(emulator, speed=0)
    return find_kind(transport, **more), transport.now()


def streaming(device: Shimmer3Emulator) -> Shimmer3Emulator:
    for command in (
        commands.set_rate(128),
        commands.set_sensors(),
        commands.set_crc(2),
        commands.start_streaming(),
    ):
        device.receive(command, 0.0)
    return device


@pytest.mark.parametrize("firmware", [(0, 11, 0), (0, 15, 4), (1, 1, 2)])
@pytest.mark.parametrize("hardware", [3, 10])
@pytest.mark.parametrize("busy", [False, True])
def test_shimmers_in_any_state(firmware: tuple[int, int, int], hardware: int, busy: bool) -> None:
    device = Shimmer3Emulator(ECG, firmware=firmware, hardware=hardware)
    kind, seconds = found_in(streaming(device) if busy else device)
    assert kind == "shimmer3"
    assert seconds < 1.5


@pytest.mark.parametrize("line", ["adc", "ms,adc", "us,adc", "mv"])
def test_text_boards(line: str) -> None:
    assert found_in(TextEmulator(ECG, line=line, fs_hz=150.0)) == ("text", pytest.approx(0.1, abs=0.2))


class Booting(TextEmulator):
    """An Uno: nothing for two seconds after the port was opened, then a banner."""

    def bytes_to_send(self, now_s: float) -> bytes:
        return super().bytes_to_send(now_s) if now_s > 2.0 else b""


def test_a_board_that_boots_first() -> None:
    kind, seconds = found_in(Booting(ECG, banner="Hello from AD8232"))
    assert kind == "text"
    assert 2.0 < seconds < LIMIT_S


class AtBaud(TextEmulator):
    """Readable at one baud rate only."""

    baud = 115200

    def __init__(self, true_baud: int) -> None:
        super().__init__(ECG)
        self.true_baud = true_baud

    def set_baud(self, baud: int) -> None:
        self.baud = baud

    def bytes_to_send(self, now_s: float) -> bytes:
        data = super().bytes_to_send(now_s)
        return data if self.baud == self.true_baud else bytes(byte ^ 0xA5 for byte in data)


@pytest.mark.parametrize("baud", [115200, 9600, 57600, 230400])
def test_other_baud_rates_are_tried(baud: int) -> None:
    device = AtBaud(baud)
    kind, seconds = found_in(device, set_baud=device.set_baud)
    assert kind == "text"
    assert seconds < LIMIT_S
    assert device.baud == baud


@pytest.mark.parametrize(
    ("device", "what"),
    [
        (SilentEmulator(), r"Nothing answers.*No byte came in 3 s.*rfcomm bind"),
        (GarbageEmulator(), r"no device that edge-ecg knows.*the bytes [0-9A-F ]+….*at the given baud"),
        (DockEmulator(), r"dock of a Shimmer \(Shimmer3 with firmware 0\.15\.4\): docks do not stream"),
    ],
    ids=["silent", "garbage", "dock"],
)
def test_what_is_nothing_known(device: Emulator, what: str) -> None:
    transport = VirtualTransport(device, speed=0)
    with pytest.raises(BridgeError, match=what):
        find_kind(transport)
    assert transport.now() < LIMIT_S + 0.3


@pytest.mark.parametrize(
    ("device", "kind"),
    [(Shimmer3Emulator(ECG), "shimmer3"), (TextEmulator(ECG, line="us,adc"), "text")],
    ids=["shimmer3", "text"],
)
def test_on_a_pty_without_device(serve: Callable, device: Emulator, kind: str) -> None:
    with open_source(serve(device, speed=8.0).port) as source:
        assert source.info.device == kind
        items = iter(source)
        next(items)
        assert isinstance(next(items), SampleBlock)


def test_options_of_another_kind_are_refused_once_it_is_known(serve: Callable) -> None:
    port = serve(Shimmer3Emulator(ECG)).port
    with pytest.raises(UsageError, match="unknown option 'adc_bits'"):
        open_source(f"{port}?adc_bits=12")


def test_silence_on_a_pty_is_an_error_of_the_device(serve: Callable) -> None:
    ticks = iter(range(10**6))
    with pytest.raises(DeviceError, match="Nothing answers on this port") as raised:
        open_source(serve(SilentEmulator()).port, clock=lambda: next(ticks) * 0.05)
    assert raised.value.exit_code == 3
