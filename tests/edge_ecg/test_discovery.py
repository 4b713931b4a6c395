"""Serial ports from a /sys tree as Linux lays it out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_ecg.discovery import (
    find_serial_ports,
)

from .usb_ports import plug

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/sys is Linux's")


def bind(root: Path, number: int, address: str) -> None:
    folder = root / f"sys/class/tty/rfcomm{number}"
    folder.mkdir(parents=True)
    (folder / "address").write_text(f"{address}\n")


def test_an_empty_machine_has_no_ports(tmp_path: Path) -> None:
    assert find_serial_ports(tmp_path) == []


def test_consoles_and_built_in_uarts_are_not_listed(tmp_path: Path) -> None:
    for name in ("tty", "tty1", "ttyS0", "ttyAMA0", "console", "ptmx"):
        (tmp_path / f"sys/class/tty/{name}").mkdir(parents=True)
    assert find_serial_ports(tmp_path) == []


def test_a_port_is_named_by_what_stays_the_same(tmp_path: Path) -> None:
    plug(tmp_path, "ttyACM0", "2341", "0043", "Uno", by_id="usb-Arduino_Uno_7573-if00")
    (port,) = find_serial_ports(tmp_path)
    assert port.address == "/dev/serial/by-id/usb-Arduino_Uno_7573-if00"
    assert port.device_path == "/dev/ttyACM0"
    assert (port.vid, port.pid, port.kind, port.streams) == ("2341", "0043", None, True)
    assert "Arduino" in port.description


@pytest.mark.parametrize(
    ("vid", "pid", "product", "kind", "streams", "words"),
    [
        ("1a86", "7523", "USB Serial", None, True, "CH340"),
        ("10c4", "ea60", "CP2102", None, True, "CP210x"),
        ("0403", "6001", "FT232R", None, True, "FTDI"),
        ("0403", "6015", "FT231X", None, True, "OpenBCI dongle"),
        ("0403", "6010", "Dual RS232", None, False, "most likely a Shimmer dock, not a stream"),
        ("0403", "6001", "SHIMMER DOCK", None, False, "Shimmer dock, not a stream"),
        ("dead", "beef", "Gadget", None, True, "USB serial port: Maker Gadget"),
        ("2E8A", "000A", "Pico", None, True, "Pico"),
    ],
)
def test_what_a_port_most_likely_is(
    tmp_path: Path, vid: str, pid: str, product: str, kind: str | None, streams: bool, words: str
) -> None:
    plug(tmp_path, "ttyUSB0", vid, pid, product)
    (port,) = find_serial_ports(tmp_path)
    assert port.address == "/dev/ttyUSB0"
    assert (port.kind, port.streams) == (kind, streams)
    assert words in port.description


def test_bluetooth_ports_and_docks_last(tmp_path: Path) -> None:
    plug(tmp_path, "ttyUSB0", "0403", "6010", "Dual RS232", bus="1-1")
    plug(tmp_path, "ttyUSB1", "1a86", "7523", "USB Serial", bus="1-2")
    bind(tmp_path, 0, "00:06:66:AA:BB:CC")
    bind(tmp_path, 1, "11:22:33:44:55:66")
    found = find_serial_ports(tmp_path)
    assert [port.device_path for port in found] == [
        "/dev/rfcomm0",
        "/dev/rfcomm1",
        "/dev/ttyUSB1",
        "/dev/ttyUSB0",
    ]
    assert [port.kind for port in found] == ["shimmer3", None, None, None]
    assert "00:06:66:AA:BB:CC, most likely a Shimmer3" in found[0].description


def test_a_port_that_vanishes_while_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "sys/class/tty/ttyUSB0").mkdir(parents=True)
    (tmp_path / "sys/class/tty/ttyUSB0/device").symlink_to("nowhere")
    (port,) = find_serial_ports(tmp_path)
    assert (port.vid, port.description) == (None, "USB serial port")


def test_listing_ports_loads_no_radio_and_no_serial_library() -> None:
    code = (
        "import sys, edge_ecg.discovery as d; d.find_serial_ports(); "
        "print('bleak' in sys.modules, 'serial' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_link_that_goes_while_it_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(tmp_path, "ttyACM0", "2341", "0043", "Uno", by_id="usb-Arduino_Uno_7573-if00")

    def gone(path: Path) -> Path:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "readlink", gone)
    assert [port.address for port in find_serial_ports(tmp_path)] == ["/dev/ttyACM0"]
