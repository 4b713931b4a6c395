"""What bleak raises, in words."""

from __future__ import annotations

import sys

import pytest

from edge_ecg.errors import DeviceError
from edge_ecg.sources import ble_faults
from edge_ecg.sources.ble_scan import find_device
from edge_ecg.sources.radio_loop import radio_loop

exc = pytest.importorskip("bleak.exc", reason="bleak is not installed (32-bit Raspberry Pi OS)")

ABORTED = exc.BleakDBusError("org.bluez.Error.Failed", ["Software caused connection abort"])
NO_DAEMON = exc.BleakDBusError(
    "org.freedesktop.DBus.Error.ServiceUnknown", ["The name org.bluez was not provided by any .service files"]
)
OFF = exc.BleakBluetoothNotAvailableError("off", exc.BleakBluetoothNotAvailableReason.POWERED_OFF)
GONE = exc.BleakDeviceNotFoundError("F0:00", "was removed")
GONE_FROM_CACHE = exc.BleakError("device 'dev_F0_00' not found")
DISCOVERY = exc.BleakError("failed to discover services, device disconnected")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (exc.BleakGATTProtocolError(0x08), 0x08),
        (exc.BleakDBusError("org.bluez.Error.NotPermitted", ["Not paired"]), 0x05),
        (exc.BleakCharacteristicNotFoundError("2a37"), 0x0A),
        (ABORTED, 0),
        (TimeoutError(), 0),
    ],
)
def test_att_codes(error: Exception, code: int) -> None:
    assert ble_faults.att_code(error) == code


@pytest.mark.parametrize(
    ("error", "passing", "forgotten"),
    [
        (ABORTED, True, False),
        (DISCOVERY, True, False),
        (TimeoutError(), True, False),
        (GONE, False, True),
        (GONE_FROM_CACHE, False, True),
        (NO_DAEMON, False, False),
        (OFF, False, False),
        (FileNotFoundError(), False, False),
        (exc.BleakDBusError("org.bluez.Error.NotReady", ["Resource Not Ready"]), False, False),
    ],
)
def test_what_may_pass(error: Exception, passing: bool, forgotten: bool) -> None:
    assert ble_faults.is_passing(error) == passing
    assert ble_faults.is_forgotten(error) == forgotten


@pytest.mark.parametrize(
    ("error", "what", "remedy"),
    [
        (ABORTED, "no link to it came about", "USB adapter"),
        (GONE, "was heard, but is gone", "nearer"),
        (NO_DAEMON, "daemon does not run", "systemctl enable --now bluetooth"),
        (OFF, "adapter is switched off", "rfkill unblock bluetooth"),
        (FileNotFoundError(), "D-Bus", "apt install dbus bluez"),
        (exc.BleakError("adapter 'hci7' not found"), "no Bluetooth adapter hci7", "bluetoothctl list"),
    ],
)
def test_in_words(error: Exception, what: str, remedy: str) -> None:
    said = ble_faults.explain_connect("Polar H10", error)
    assert what in said.what
    assert remedy in said.remedy


def test_without_bleak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bleak", None)
    with pytest.raises(DeviceError, match="bleak is not installed"):
        radio_loop().run(find_device("Polar H10"))
