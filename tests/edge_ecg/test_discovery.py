"""Ports from a /sys tree as Linux lays it out; Bluetooth's failures as bleak really raises them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakDBusError

from edge_ecg import discovery
from edge_ecg.cli import main
from edge_ecg.discovery import (
    BluetoothScan,
    FoundBluetooth,
    bluetooth_failure,
    find_bluetooth,
    find_serial_ports,
    guess_by_name,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/sys is Linux's")


def plug(
    root: Path, tty: str, vid: str, pid: str, product: str, *, by_id: str = "", bus: str = "1-1"
) -> None:
    """Lay out what the kernel shows for a USB serial port: device, interface, port, and the link to it."""
    usb = root / f"sys/devices/pci0000:00/usb1/{bus}"
    port = usb / f"{bus}:1.0/{tty}"
    port.mkdir(parents=True)
    for name, text in {
        "idVendor": vid,
        "idProduct": pid,
        "manufacturer": "Maker",
        "product": product,
    }.items():
        (usb / name).write_text(f"{text}\n")
    folder = root / f"sys/class/tty/{tty}"
    folder.mkdir(parents=True)
    (folder / "device").symlink_to(port)
    if by_id:
        links = root / "dev/serial/by-id"
        links.mkdir(parents=True, exist_ok=True)
        (links / by_id).symlink_to(f"../../{tty}")


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
    assert (port.vid, port.pid, port.kind, port.streams) == ("2341", "0043", "text", True)
    assert "Arduino" in port.description


@pytest.mark.parametrize(
    ("vid", "pid", "product", "kind", "streams", "words"),
    [
        ("1a86", "7523", "USB Serial", "text", True, "CH340"),
        ("10c4", "ea60", "CP2102", "text", True, "CP210x"),
        ("0403", "6001", "FT232R", "text", True, "FTDI"),
        ("0403", "6015", "FT231X", None, True, "OpenBCI dongle"),
        ("0403", "6010", "Dual RS232", None, False, "most likely a Shimmer dock, not a stream"),
        ("0403", "6001", "SHIMMER DOCK", None, False, "Shimmer dock, not a stream"),
        ("dead", "beef", "Gadget", None, True, "USB serial port: Maker Gadget"),
        ("2E8A", "000A", "Pico", "text", True, "Pico"),
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
    assert [port.kind for port in found] == ["shimmer3", None, "text", None]
    assert "00:06:66:AA:BB:CC, most likely a Shimmer3" in found[0].description


def test_a_port_that_vanishes_while_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "sys/class/tty/ttyUSB0").mkdir(parents=True)
    (tmp_path / "sys/class/tty/ttyUSB0/device").symlink_to("nowhere")
    (port,) = find_serial_ports(tmp_path)
    assert (port.vid, port.description) == (None, "USB serial port")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Shimmer3-A1B2", "rfcomm bind"),
        ("Polar H10 12345678", "Polar H10"),
        ("Movesense 174630000192", "Movesense"),
        ("Kettle", ""),
    ],
)
def test_guess_by_name(name: str, words: str) -> None:
    assert words in guess_by_name(name)
    assert bool(words) == bool(guess_by_name(name))


def with_radio(root: Path, *, dbus: bool = True) -> Path:
    (root / "sys/class/bluetooth/hci0").mkdir(parents=True)
    if dbus:
        (root / "run/dbus").mkdir(parents=True)
        (root / "run/dbus/system_bus_socket").touch()
    return root


def test_no_adapter_is_said_without_asking_bleak(tmp_path: Path) -> None:
    scan = find_bluetooth(30.0, tmp_path)
    assert scan.devices == ()
    assert "no Bluetooth adapter" in scan.reason
    assert scan.remedy


def test_no_dbus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "D-Bus" in find_bluetooth(30.0, with_radio(tmp_path / "a", dbus=False)).reason
    # The socket file is there, but nothing listens where bleak looks: its own bare FileNotFoundError.
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'nothing'}")
    scan = find_bluetooth(30.0, with_radio(tmp_path / "b"))
    assert "D-Bus" in scan.reason
    assert "enable --now dbus" in scan.remedy


@pytest.fixture(params=['<allow eavesdrop="true"/>'])
def private_bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A D-Bus daemon of our own, with no Bluetooth daemon on it; the parameter is what may be received."""
    daemon = shutil.which("dbus-daemon")
    if daemon is None:
        pytest.skip("dbus-daemon is not installed")
    config = tmp_path / "bus.conf"
    config.write_text(
        f"<busconfig><type>system</type><listen>unix:path={tmp_path / 'bus'}</listen><auth>EXTERNAL</auth>"
        '<policy context="default"><allow own="*"/><allow send_destination="*"/>'
        f"{request.param}</policy></busconfig>"
    )
    with subprocess.Popen(
        [daemon, "--config-file", str(config), "--nofork", "--print-address"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def test_no_bluetooth_daemon(tmp_path: Path, private_bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", private_bus)
    scan = find_bluetooth(30.0, with_radio(tmp_path / "root"))
    assert scan.reason == "The Bluetooth daemon does not run."
    assert "enable --now bluetooth" in scan.remedy


@pytest.mark.parametrize("private_bus", [""], indirect=True)
def test_a_bus_that_never_answers(tmp_path: Path, private_bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", private_bus)
    monkeypatch.setattr(discovery, "_ANSWER_S", 0.2)
    assert "does not answer" in find_bluetooth(0.1, with_radio(tmp_path / "root")).reason


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", ["no owner"]), "daemon does not run"),
        (BleakDBusError("org.bluez.Error.NotReady", ["Resource Not Ready"]), "switched off"),
        (BleakDBusError("org.freedesktop.DBus.Error.AccessDenied", ["rules"]), "may not use Bluetooth"),
        (BleakBluetoothNotAvailableError("x", BleakBluetoothNotAvailableReason.POWERED_OFF), "switched off"),
        (
            BleakBluetoothNotAvailableError("x", BleakBluetoothNotAvailableReason.NO_BLUETOOTH),
            "no Bluetooth adapter",
        ),
        (ModuleNotFoundError("No module named 'bleak'"), "not installed"),
        (FileNotFoundError(2, "No such file or directory"), "D-Bus"),
        (PermissionError(13, "Permission denied"), "may not use Bluetooth"),
        (RuntimeError("the moon is full"), "RuntimeError: the moon is full"),
    ],
)
def test_every_failure_has_words_and_a_remedy(error: Exception, words: str) -> None:
    reason, remedy = bluetooth_failure(error)
    assert words in reason
    assert remedy


def test_the_command_lists_and_says_what_to_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_ecg.cli import devices

    plug(tmp_path, "ttyACM0", "2341", "0043", "Uno")
    scan = BluetoothScan((FoundBluetooth("00:11", "Polar H10 1", "Polar H10 chest strap", -50),))
    monkeypatch.setattr(devices, "find_serial_ports", lambda: find_serial_ports(tmp_path))
    monkeypatch.setattr(devices, "find_bluetooth", lambda timeout_s: scan)
    assert main(["devices"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "/dev/ttyACM0       text board (Arduino)",
        "Polar H10 1 00:11  Polar H10 chest strap, -50 dBm",
    ]
    assert "edge-ecg run --port /dev/ttyACM0" in err
    assert main(["devices", "--json"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["type"], first["address"], first["kind"]) == ("serial", "/dev/ttyACM0", "text")
    assert (second["type"], second["rssi_dbm"]) == ("bluetooth", -50)


def test_the_command_on_an_empty_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_ecg.cli import devices

    monkeypatch.setattr(devices, "find_serial_ports", lambda: find_serial_ports(tmp_path))
    monkeypatch.setattr(devices, "find_bluetooth", lambda timeout_s: find_bluetooth(timeout_s, tmp_path))
    assert main(["devices"]) == 0
    out, err = capsys.readouterr()
    assert "No serial port" in out
    assert "No Bluetooth: This machine has no Bluetooth adapter" in out
    assert "run --demo" in err
    assert main(["devices", "--scan", "0", "--json"]) == 0
    assert capsys.readouterr().out == ""


def test_listing_ports_loads_no_radio_and_no_serial_library() -> None:
    code = (
        "import sys, edge_ecg.discovery as d; d.find_serial_ports(); "
        "print('bleak' in sys.modules, 'serial' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
