"""What went wrong with Bluetooth LE, in words and with what mends it."""

from __future__ import annotations

import re

from ..discovery import bluetooth_failure
from ..errors import DeviceError

_NO_ADAPTER = re.compile(r"adapter '(.*)' not found")
_NOT_PERMITTED = "org.bluez.Error.NotPermitted"
_NOT_PAIRED = "Not paired"
ATT_NOT_FOUND = 0x0A
ATT_INSUFFICIENT_AUTHENTICATION = 0x05
_DAEMON_ERRORS = ("ServiceUnknown", "NameHasNoOwner", "NotReady")
# BlueZ's names for a radio link that did not come about, or broke while it did.
_LINK_ERRORS = (
    "abort",
    "le-connection",
    "Page Timeout",
    "Host is down",
    "br-connection",
    "Failed",
    "Timeout",
)


def att_code(error: BaseException) -> int:
    """Return the ATT error code in what bleak raised; 0 when there is none."""
    code = getattr(error, "code", None)
    if isinstance(code, int):
        return int(code)
    if type(error).__name__ == "BleakCharacteristicNotFoundError":
        return ATT_NOT_FOUND
    if getattr(error, "dbus_error", "") == _NOT_PERMITTED and _NOT_PAIRED in str(error):
        return ATT_INSUFFICIENT_AUTHENTICATION
    return 0


def is_forgotten(error: BaseException | None) -> bool:
    """Whether the Bluetooth daemon no longer knows the device, so that only a scan can help."""
    name = type(error).__name__
    return name == "BleakDeviceNotFoundError" or (
        name == "BleakError" and str(error).startswith("device ") and str(error).endswith("not found")
    )


def is_passing(error: BaseException) -> bool:
    """Whether trying again may help: there is a daemon and an adapter, but the link was not made."""
    name = type(error).__name__
    if is_forgotten(error) or name in ("BleakBluetoothNotAvailableError", "FileNotFoundError"):
        return False
    text = str(error)
    if _NO_ADAPTER.fullmatch(text) or any(word in text for word in _DAEMON_ERRORS):
        return False
    return (
        isinstance(error, TimeoutError) or any(word in text for word in _LINK_ERRORS) or name == "BleakError"
    )


def explain_connect(name: str, error: BaseException) -> DeviceError:
    """Say why a device that was heard could not be connected."""
    if is_forgotten(error):
        return DeviceError(
            f"{name} was heard, but is gone.",
            why="The Bluetooth daemon has forgotten it.",
            remedy="Bring it nearer and start again.",
        )
    if is_passing(error):
        return DeviceError(
            f"{name} was heard, but no link to it came about.",
            why=str(error) or "It did not answer in time.",
            remedy="Bring it nearer; close the phone's app that may hold it. A Raspberry Pi's Bluetooth "
            "shares its antenna with Wi-Fi: use a cable or 5 GHz for the network, or a USB adapter.",
        )
    return explain(error)


def explain(error: BaseException) -> DeviceError:
    """Say why Bluetooth could not be used at all."""
    adapter = _NO_ADAPTER.fullmatch(str(error))
    if adapter is not None:
        return DeviceError(
            f"This machine has no Bluetooth adapter {adapter[1]}.",
            remedy="bluetoothctl list tells which there are; leave ?adapter= out for the first one.",
        )
    reason, remedy = bluetooth_failure(error)
    return DeviceError(reason, remedy=remedy)


def not_heard(wanted: str, others: list[str], timeout_s: float) -> DeviceError:
    """Say that the device was not heard, and which were."""
    heard = f"Heard were: {', '.join(others)}." if others else "No Bluetooth LE device with a name was heard."
    return DeviceError(
        f"No Bluetooth LE device {wanted} was heard within {timeout_s:g} s.",
        why=heard,
        remedy="Switch it on; a chest strap speaks only when it is worn and wet. Close the phone's app that "
        "may hold it. edge-ecg devices lists what is in range.",
    )


def several(wanted: str, found: list[tuple[str, str]]) -> DeviceError:
    """Say that more than one device fits."""
    listed = ", ".join(f"ble:{address} ({name})" for address, name in sorted(found))
    return DeviceError(
        f"{len(found)} Bluetooth LE devices are called {wanted}.",
        why=f"They are {listed}.",
        remedy="Give one of these addresses to --port.",
    )
