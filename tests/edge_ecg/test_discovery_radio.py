"""Bluetooth and LSL: what is in range, and the failures as bleak really raises them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakDBusError

from edge_ecg.discovery import (
    StreamScan,
    bluetooth,
    bluetooth_failure,
    find_bluetooth,
    find_paired,
    find_streams,
    guess_radio,
    streams,
)
from edge_ecg.discovery.bluetooth import describe
from edge_ecg.errors import DeviceError
from edge_ecg.sources import lsl_link
from edge_ecg.sources.lsl_link import FoundLsl

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/sys is Linux's")


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
