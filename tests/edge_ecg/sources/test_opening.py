"""The door to a device: what is found the first time is used the second time."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_ecg.discovery import FoundPort
from edge_ecg.errors import DeviceError, UsageError
from edge_ecg.sources import opening, serial_port
from edge_ecg.sources.address import parse_address
from edge_ecg.sources.opening import ByteStreamDoor
from edge_ecg.sources.transport import Transport, TransportLostError
from edge_ecg_bridge.stream import BridgeError


class Port:
    """Carries nothing; notes what is done to it."""

    def __init__(self) -> None:
        self.closed = False
        self.baud = 0

    def set_baud(self, baud: int) -> None:
        self.baud = baud

    def now(self) -> float:
        return 0.0

    def read(self, timeout_s: float, gather_s: float = 0.0) -> bytes:
        raise TransportLostError("it went away")

    def write(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def test_kind_and_speed_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, bool]] = []

    def open_transport(baud: int, rescan: bool) -> Transport:
        calls.append((baud, rescan))
        return Port()

    def find(transport: Port, set_baud: object) -> str:
        assert callable(set_baud)
        set_baud(9600)
        assert transport.baud == 9600
        return "text"

    monkeypatch.setattr(opening, "find_kind", find)
    door = ByteStreamDoor(parse_address("/dev/x?fs=250"), open_transport, name="x", has_speed=True)
    first, session = door.connect()
    monkeypatch.setattr(opening, "find_kind", pytest.fail)
    second, again = door.connect(rescan=True)
    assert first is not second
    assert type(session) is type(again)
    assert session is not again
    assert calls == [(115200, False), (9600, True)]


def test_a_speed_that_was_given_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "find_kind", lambda transport, set_baud: "text" if set_baud is None else "")
    calls: list[int] = []

    def open_transport(baud: int, rescan: bool) -> Transport:
        calls.append(baud)
        return Port()

    ByteStreamDoor(parse_address("/dev/x?baud=57600"), open_transport, name="x", has_speed=True).connect()
    assert calls == [57600]


@pytest.mark.parametrize(
    ("error", "raised", "what"),
    [
        (BridgeError("No.", why="Because."), DeviceError, "No. Because."),
        (
            TransportLostError("it went away"),
            DeviceError,
            "x was lost while it was being opened. It went away.",
        ),
        (KeyboardInterrupt(), KeyboardInterrupt, "^$"),
    ],
)
def test_whatever_goes_wrong_the_port_is_given_back(
    error: BaseException, raised: type[BaseException], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(transport: object, set_baud: object) -> str:
        raise error

    monkeypatch.setattr(opening, "find_kind", fail)
    port = Port()
    with pytest.raises(raised, match=what):
        ByteStreamDoor(parse_address("/dev/x"), lambda baud, rescan: port, name="x").connect()
    assert port.closed


def test_an_option_of_another_kind_gives_the_port_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "find_kind", lambda transport, set_baud: "shimmer3")
    port = Port()
    door = ByteStreamDoor(parse_address("/dev/x?adc_bits=12"), lambda baud, rescan: port, name="x")
    with pytest.raises(UsageError, match="adc_bits"):
        door.connect()
    assert port.closed


def test_a_port_that_comes_back_under_another_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Asked for by number, it is found again by the name that stays the same, once its number is gone."""
    asked = tmp_path / "ttyUSB0"
    asked.touch()
    lasting = FoundPort("/dev/serial/by-id/board", str(asked), "board", "text")
    opened: list[str] = []
    monkeypatch.setattr(serial_port, "find_serial_ports", lambda: [lasting])
    monkeypatch.setattr(
        serial_port, "SerialTransport", lambda address, baud, clock: opened.append(address.target) or Port()
    )
    place = serial_port._Place(parse_address(str(asked)), lambda: 0.0)
    place.open(9600, False)
    place.open(9600, True)  # still there: no need to look
    asked.unlink()
    place.open(9600, False)
    place.open(9600, True)
    assert opened == [str(asked)] * 3 + ["/dev/serial/by-id/board"]
