"""Ports from a /sys tree as Linux lays it out; Bluetooth's failures as bleak really raises them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakDBusError

from edge_ecg.cli import devices, main
from edge_ecg.discovery import (
    BluetoothScan,
    FoundBluetooth,
    FoundStream,
    StreamScan,
    bluetooth,
    bluetooth_failure,
    find_bluetooth,
    find_paired,
    find_serial_ports,
    find_streams,
    guess_radio,
    streams,
)
from edge_ecg.discovery.bluetooth import describe
from edge_ecg.errors import DeviceError
from edge_ecg.sources import lsl_link
from edge_ecg.sources.lsl_link import FoundLsl

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


NUS = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"


@pytest.mark.parametrize(
    ("name", "services", "kind", "words"),
    [
        ("Polar H10 12345678", (), "polar-h10", "Polar H10"),
        ("Polar OH1 1234", ("0000180d-0000-1000-8000-00805f9b34fb",), None, "without ECG"),
        ("Movesense 174630000192", (), "movesense", "Movesense"),
        ("", ("0000FDF3-0000-1000-8000-00805F9B34FB",), "movesense", "Movesense"),
        ("Shimmer3-A1B2", (), "shimmer3", "Shimmer3"),
        ("Shimmer3R-A1B2-BLE", (), "shimmer3", "Shimmer3R"),
        ("", ("65333333-a115-11e2-9e9a-0800200ca100",), "shimmer3", "Shimmer3R"),
        ("RN", ("49535343-fe7d-4ae5-8fa9-9fafd205e455",), "shimmer3", "Shimmer3"),
        ("Ganglion-1a2b", (), "ganglion", "Ganglion"),
        ("Simblee", ("0000fe84-0000-1000-8000-00805f9b34fb",), "ganglion", "Ganglion"),
        ("BITalino-55-22", (), "bitalino", "BITalino"),
        ("My board", (NUS,), None, "Nordic UART"),
        ("Strap", ("0000180d-0000-1000-8000-00805f9b34fb",), None, "no ECG"),
    ],
)
def test_what_a_radio_most_likely_is(
    name: str, services: tuple[str, ...], kind: str | None, words: str
) -> None:
    row = guess_radio(name, services)
    assert row is not None
    assert row.kind == kind
    assert words in row.description
    assert row.measures_ecg is ("ECG" not in words)


def test_a_kettle_is_nothing_known() -> None:
    assert guess_radio("Kettle", ("0000180f-0000-1000-8000-00805f9b34fb",)) is None
    assert guess_radio("") is None


def test_what_is_heard_gets_an_address_to_give_to_port() -> None:
    found = describe(
        [
            ("00:01", "Kettle", [], -30),
            ("00:02", "Polar H10 1", [], -70),
            ("00:03", "Movesense", [], -60),
            ("00:04", "Movesense", [], -50),
            ("00:05", "", [NUS.upper()], -80),
            ("00:06", "", [], -20),
            ("00:07", "what? a name", [NUS], -90),
        ]
    )
    assert [(one.port, one.kind, one.streams) for one in found] == [
        ("ble:00:04", "movesense", True),  # two of one name: only the address tells them apart
        ("ble:00:03", "movesense", True),
        ("ble:Polar H10 1", "polar-h10", True),
        ("ble:00:05", None, True),
        ("ble:00:07", None, True),  # a question mark begins the options of an address
        ("ble:Kettle", None, False),
    ]


def test_paired_devices_are_asked_of_the_daemon() -> None:
    said = (
        "Device 00:06:66:AA:BB:CC Shimmer3-BBCC\nDevice 20:16:02:14:75:76 BITalino-75-76\n"
        "Device 11:22:33:44:55:66 Shimmer3R-5566-BLE\nDevice AA:BB:CC:DD:EE:FF Headphones\nnoise\n"
    )
    asked = []

    def command(words: Sequence[str]) -> str:
        asked.append(tuple(words))
        return said

    assert [(one.port, one.kind) for one in find_paired(command)] == [
        ("bt:00:06:66:AA:BB:CC", "shimmer3"),
        ("bt:20:16:02:14:75:76", "bitalino"),
    ]
    assert asked == [("bluetoothctl", "devices", "Paired")]
    assert find_paired(lambda words: "") == ()


def test_a_command_that_is_missing_or_fails_says_nothing() -> None:
    assert bluetooth._run(["no-such-program-here"]) == ""
    assert bluetooth._run([sys.executable, "-c", "print('yes')"]) == "yes\n"


def test_lsl_streams_only_where_pylsl_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "find_spec", lambda name: None)
    assert find_streams(1.0) is None
    monkeypatch.setattr(streams, "find_spec", lambda name: object())

    def fail(timeout_s: float) -> list[FoundLsl]:
        raise DeviceError("No liblsl.", why="Not found.", remedy="install it")

    monkeypatch.setattr(lsl_link, "find_lsl", fail)
    assert find_streams(1.0) == StreamScan(reason="No liblsl. Not found.", remedy="install it")
    twice = [FoundLsl("A", "ECG", "id1", "h", 1, 250.0), FoundLsl("A", "ECG", "id2", "h", 1, 250.0)]
    monkeypatch.setattr(
        lsl_link, "find_lsl", lambda timeout_s: [*twice, FoundLsl("B", "Audio", "", "h", 2, 0.0)]
    )
    found = find_streams(1.0)
    assert found is not None
    assert [(one.port, one.streams) for one in found.streams] == [
        ("lsl:id1", True),
        ("lsl:id2", True),
        ("lsl:B", False),
    ]


def with_radio(root: Path, *, dbus: bool = True) -> Path:
    (root / "sys/class/bluetooth/hci0").mkdir(parents=True)
    if dbus:
        (root / "run/dbus").mkdir(parents=True)
        (root / "run/dbus/system_bus_socket").touch()
    return root


@pytest.fixture(autouse=True)
def _own_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SYSTEM_BUS_ADDRESS", raising=False)


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
    monkeypatch.setattr(bluetooth, "_ANSWER_S", 0.2)
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


def look_nowhere(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """The command on a machine that is made up."""
    monkeypatch.setattr(devices, "find_serial_ports", lambda: find_serial_ports(root))
    monkeypatch.setattr(devices, "find_bluetooth", lambda timeout_s: find_bluetooth(timeout_s, root))
    monkeypatch.setattr(devices, "find_paired", lambda: ())
    monkeypatch.setattr(devices, "find_streams", lambda timeout_s: None)


def test_the_command_lists_and_says_what_to_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plug(tmp_path, "ttyACM0", "2341", "0043", "Uno")
    look_nowhere(monkeypatch, tmp_path)
    scan = BluetoothScan(
        (
            FoundBluetooth("00:11", "Polar H10 1", "Polar H10", -50, "ble:Polar H10 1", "polar-h10", True),
            FoundBluetooth("00:12", "Kettle", "", -60, "ble:00:12"),
        )
    )
    paired = (
        FoundBluetooth("00:06", "Shimmer3-0006", "Shimmer3, paired", None, "bt:00:06", "shimmer3", True),
    )
    lsl = StreamScan((FoundStream("lsl:Rec", "Rec", "ECG", "id", "pc", 2, 250.0, True),))
    monkeypatch.setattr(devices, "find_bluetooth", lambda timeout_s: scan)
    monkeypatch.setattr(devices, "find_paired", lambda: paired)
    monkeypatch.setattr(devices, "find_streams", lambda timeout_s: lsl)
    assert main(["devices"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "/dev/ttyACM0     board (Arduino)",
        "bt:00:06         Shimmer3, paired Shimmer3-0006",
        "ble:Polar H10 1  Polar H10, -50 dBm",
        "ble:00:12        Bluetooth LE Kettle, -60 dBm",
        "lsl:Rec          LSL stream (ECG, 2 channels, 250 Hz) on pc",
    ]
    assert "edge-ecg run --port /dev/ttyACM0" in err
    assert main(["devices", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["type"], one["port"]) for one in lines] == [
        ("serial", "/dev/ttyACM0"),
        ("bluetooth", "bt:00:06"),
        ("bluetooth", "ble:Polar H10 1"),
        ("bluetooth", "ble:00:12"),
        ("lsl", "lsl:Rec"),
    ]
    assert (lines[0]["address"], lines[2]["rssi_dbm"], lines[4]["stream_type"]) == (
        "/dev/ttyACM0",
        -50,
        "ECG",
    )


def test_what_to_type_where_no_port_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the quotes that a shell needs; what measures no ECG is not offered."""
    look_nowhere(monkeypatch, tmp_path)
    found = [
        FoundBluetooth("00:12", "Kettle", "", -60, "ble:00:12"),
        FoundBluetooth("00:11", "Polar H10 1", "Polar H10", -50, "ble:Polar H10 1", "polar-h10", True),
    ]
    monkeypatch.setattr(devices, "find_bluetooth", lambda timeout_s: BluetoothScan(tuple(found)))
    assert main(["devices"]) == 0
    assert "edge-ecg run --port 'ble:Polar H10 1'" in capsys.readouterr().err


def test_the_command_on_an_empty_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    look_nowhere(monkeypatch, tmp_path)
    monkeypatch.setattr(
        devices, "find_streams", lambda timeout_s: StreamScan(reason="No liblsl.", remedy="install it")
    )
    assert main(["devices"]) == 0
    out, err = capsys.readouterr()
    assert "No serial port" in out
    assert "No Bluetooth: This machine has no Bluetooth adapter" in out
    assert "No LSL: No liblsl.\n  try: install it" in out
    assert "run --demo" in err
    assert main(["devices", "--json"]) == 0
    kinds = [json.loads(line)["type"] for line in capsys.readouterr().out.splitlines()]
    assert kinds == ["no bluetooth", "no lsl"]
    assert main(["devices", "--scan", "0", "--json"]) == 0
    assert capsys.readouterr().out == ""


def test_listing_ports_loads_no_radio_and_no_serial_library() -> None:
    code = (
        "import sys, edge_ecg.discovery as d; d.find_serial_ports(); "
        "print('bleak' in sys.modules, 'serial' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
