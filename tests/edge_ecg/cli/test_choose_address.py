"""Which device ``edge-ecg run`` takes when none is named."""

from __future__ import annotations

import argparse

import pytest

from edge_ecg.cli.choose import DEMO_ADDRESS, choose_address
from edge_ecg.discovery import BluetoothScan, FoundBluetooth, FoundPort, FoundStream, Nearby, StreamScan
from edge_ecg.errors import DeviceError, UsageError

BOARD = FoundPort("/dev/serial/by-id/usb-Arduino", "/dev/ttyACM0", "text board (Arduino)", "text")
SHIMMER = FoundPort("/dev/rfcomm0", "/dev/rfcomm0", "Shimmer3 over Bluetooth", "shimmer3")
DOCK = FoundPort("/dev/ttyUSB0", "/dev/ttyUSB0", "Shimmer dock", None, streams=False)


STRAP = FoundBluetooth(
    "00:11", "Polar H10 1", "Polar H10 chest strap", -50, "ble:Polar H10 1", "polar-h10", True
)
KETTLE = FoundBluetooth("00:12", "Kettle", "", -60, "ble:00:12")
PAIRED = FoundBluetooth("00:06", "Shimmer3-0006", "Shimmer3, paired", None, "bt:00:06", "shimmer3", True)
STREAM = FoundStream("lsl:Amp", "Amp", "ECG", "id", "pc", 2, 250.0, True)
LISTENING = "Nothing is plugged in; listening for Bluetooth and LSL for 4 s.\n"


def nearby(*heard: FoundBluetooth, paired: tuple[FoundBluetooth, ...] = (), lsl: bool = False) -> Nearby:
    return Nearby(paired, BluetoothScan(heard), StreamScan((STREAM,) if lsl else ()))


def choose(
    monkeypatch: pytest.MonkeyPatch,
    ports: list[FoundPort],
    *,
    port: str | None = None,
    demo: bool = False,
    around: Nearby | None = None,
) -> str:
    monkeypatch.setattr("edge_ecg.discovery.find_serial_ports", lambda: ports)
    listen = (lambda: around) if around is not None else (lambda: pytest.fail("nobody asked to listen"))
    monkeypatch.setattr("edge_ecg.discovery.find_nearby", listen)
    return choose_address(argparse.Namespace(port=port, demo=demo))


def test_what_is_named_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose(monkeypatch, [BOARD, SHIMMER], port="/dev/ttyS9") == "/dev/ttyS9"
    assert choose(monkeypatch, [BOARD], demo=True) == DEMO_ADDRESS


def test_the_one_device_is_found_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert choose(monkeypatch, [DOCK, SHIMMER]) == "/dev/rfcomm0"
    assert capsys.readouterr() == ("", "Found /dev/rfcomm0: Shimmer3 over Bluetooth.\n")


def test_several_are_listed_with_the_demo_as_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="2 devices to choose from") as caught:
        choose(monkeypatch, [BOARD, SHIMMER])
    assert BOARD.address in caught.value.why
    assert SHIMMER.address in caught.value.why
    assert "edge-ecg run --demo" in caught.value.remedy


@pytest.mark.parametrize(
    ("around", "address", "said"),
    [
        (nearby(STRAP, KETTLE), "ble:Polar H10 1", "Polar H10 chest strap"),
        (nearby(lsl=True), "lsl:Amp", "LSL stream Amp"),
        (nearby(KETTLE, paired=(PAIRED,)), "bt:00:06", "Shimmer3, paired"),
        (nearby(STRAP, paired=(PAIRED,)), "ble:Polar H10 1", "Polar H10 chest strap"),
    ],
    ids=["advertising", "LSL", "paired", "what is heard comes before what is paired"],
)
def test_where_nothing_is_plugged_in_the_air_is_listened_to(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    around: Nearby,
    address: str,
    said: str,
) -> None:
    assert choose(monkeypatch, [DOCK], around=around) == address
    assert capsys.readouterr() == ("", f"{LISTENING}Found {address}: {said}.\n")


def test_several_in_range_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="2 devices to choose from") as caught:
        choose(monkeypatch, [], around=nearby(STRAP, lsl=True))
    assert "ble:Polar H10 1 (Polar H10 chest strap); lsl:Amp (LSL stream Amp)" in caught.value.why


@pytest.mark.parametrize(
    ("ports", "around", "why"),
    [
        ([], Nearby(), "no serial port"),
        ([DOCK], Nearby(), "Shimmer dock"),
        (
            [],
            Nearby((), BluetoothScan(reason="No adapter."), StreamScan(reason="No liblsl.")),
            "No adapter. No liblsl.",
        ),
        ([], nearby(KETTLE), "Of 1 others in range"),
    ],
)
def test_none_that_streams_points_to_the_demo(
    monkeypatch: pytest.MonkeyPatch, ports: list[FoundPort], around: Nearby, why: str
) -> None:
    with pytest.raises(DeviceError, match="No device is plugged in or in range") as caught:
        choose(monkeypatch, ports, around=around)
    assert why in caught.value.why
    assert "edge-ecg run --demo" in caught.value.remedy
