"""Which device ``edge-ecg run`` takes when none is named."""

from __future__ import annotations

import argparse

import pytest

from edge_ecg.cli.run import DEMO_ADDRESS, choose_address
from edge_ecg.discovery import FoundPort
from edge_ecg.errors import DeviceError, UsageError

BOARD = FoundPort("/dev/serial/by-id/usb-Arduino", "/dev/ttyACM0", "text board (Arduino)", "text")
SHIMMER = FoundPort("/dev/rfcomm0", "/dev/rfcomm0", "Shimmer3 over Bluetooth", "shimmer3")
DOCK = FoundPort("/dev/ttyUSB0", "/dev/ttyUSB0", "Shimmer dock", None, streams=False)


def choose(
    monkeypatch: pytest.MonkeyPatch, ports: list[FoundPort], *, port: str | None = None, demo: bool = False
) -> str:
    monkeypatch.setattr("edge_ecg.discovery.find_serial_ports", lambda: ports)
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


@pytest.mark.parametrize(("ports", "why"), [([], "no serial port"), ([DOCK], "Shimmer dock")])
def test_none_that_streams_points_to_the_demo(
    monkeypatch: pytest.MonkeyPatch, ports: list[FoundPort], why: str
) -> None:
    with pytest.raises(DeviceError, match="No device is plugged in") as caught:
        choose(monkeypatch, ports)
    assert why in caught.value.why
    assert "edge-ecg run --demo" in caught.value.remedy
