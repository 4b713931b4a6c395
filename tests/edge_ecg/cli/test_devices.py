"""The command ``edge-ecg devices`` on machines that are made up."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from edge_ecg.cli import devices, main
from edge_ecg.discovery import (
    BluetoothScan,
    FoundBluetooth,
    FoundStream,
    Nearby,
    StreamScan,
    find_bluetooth,
    find_serial_ports,
    nearby,
)
from edge_ecg.discovery.bluetooth import describe

from ..usb_ports import plug

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/sys is Linux's")


def look_nowhere(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """The command on a machine that is made up."""
    monkeypatch.setattr(devices, "find_serial_ports", lambda: find_serial_ports(root))
    monkeypatch.setattr(nearby, "find_bluetooth", lambda timeout_s: find_bluetooth(timeout_s, root))
    monkeypatch.setattr(nearby, "find_paired", lambda: ())
    monkeypatch.setattr(nearby, "find_streams", lambda timeout_s: None)


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
    monkeypatch.setattr(nearby, "find_bluetooth", lambda timeout_s: scan)
    monkeypatch.setattr(nearby, "find_paired", lambda: paired)
    monkeypatch.setattr(nearby, "find_streams", lambda timeout_s: lsl)
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
    monkeypatch.setattr(nearby, "find_bluetooth", lambda timeout_s: BluetoothScan(tuple(found)))
    assert main(["devices"]) == 0
    assert "edge-ecg run --port 'ble:Polar H10 1'" in capsys.readouterr().err


def test_a_name_that_is_meant_for_the_terminal_is_only_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody in radio range may call himself so."""
    look_nowhere(monkeypatch, tmp_path)
    name = "Polar H10 \x1b[2J"
    one = FoundBluetooth("00:11", name, "Polar H10", -50, f"ble:{name}", "polar-h10", True)
    monkeypatch.setattr(nearby, "find_bluetooth", lambda timeout_s: BluetoothScan((one,)))
    assert main(["devices"]) == 0
    out, err = capsys.readouterr()
    assert "ble:Polar H10 \N{REPLACEMENT CHARACTER}[2J" in out
    assert "\x1b" not in out + err


def test_how_long_to_listen_is_no_negative_time(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["devices", "--scan", "-1"])
    assert "must be 0 or a number above it, not '-1'" in capsys.readouterr().err


def test_the_command_on_an_empty_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    look_nowhere(monkeypatch, tmp_path)
    monkeypatch.setattr(
        nearby, "find_streams", lambda timeout_s: StreamScan(reason="No liblsl.", remedy="install it")
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


def test_a_name_in_radio_range_does_not_command_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = describe([("AA:BB:CC:DD:EE:FF", "Polar H10 \x1b]0;mine\x07", [], -50)])
    monkeypatch.setattr(devices, "find_serial_ports", list)
    monkeypatch.setattr(devices, "find_nearby", lambda _: Nearby(scan=BluetoothScan(heard)))
    assert main(["devices"]) == 0
    done = capsys.readouterr()
    assert "AA:BB:CC:DD:EE:FF" in done.out
    assert not {"\x1b", "\x07"} & set(done.out + done.err)
