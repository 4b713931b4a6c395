"""Bluetooth devices in range (asked for through bleak) and those paired with this machine."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .radio_kinds import guess_radio

_ANSWER_S = 5.0
_PAIRED = re.compile(r"^Device ((?:[0-9A-F]{2}:){5}[0-9A-F]{2}) (.+)$", re.MULTILINE)
_COMMAND_S = 3.0


@dataclass(frozen=True, slots=True)
class FoundBluetooth:
    """A Bluetooth device.

    Attributes
    ----------
    address, name:
        As the device or the Bluetooth daemon says.
    description:
        What it most likely is; empty when that is not known.
    rssi_dbm:
        Strength of its signal; None for one that is paired and was not listened for.
    port:
        What to give to ``--port``.
    kind:
        What ``--device`` calls it; None when that is open.
    streams:
        False for what is known to send no ECG, and where nothing is known.

    """

    address: str
    name: str
    description: str
    rssi_dbm: int | None
    port: str = ""
    kind: str | None = None
    streams: bool = False


@dataclass(frozen=True, slots=True)
class BluetoothScan:
    """What is in radio range; or ``reason`` and ``remedy`` when nobody could look."""

    devices: tuple[FoundBluetooth, ...] = ()
    reason: str = ""
    remedy: str = ""


def find_bluetooth(timeout_s: float, root: Path = Path("/")) -> BluetoothScan:
    """Listen for Bluetooth LE advertisements for ``timeout_s`` seconds.

    Never raises for a missing radio, daemon or package: the result says in words what is missing.
    """
    # Another bus has adapters of its own, which this machine's folders do not show.
    if sys.platform == "linux" and "DBUS_SYSTEM_BUS_ADDRESS" not in os.environ:
        if not any((root / "sys/class/bluetooth").glob("hci*")):
            return BluetoothScan(
                reason="This machine has no Bluetooth adapter (or its driver is not loaded).",
                remedy="Plug in a USB Bluetooth adapter; on a Raspberry Pi check that "
                "/boot/firmware/config.txt holds no dtoverlay=disable-bt.",
            )
        if not (root / "run/dbus/system_bus_socket").exists():
            return BluetoothScan(
                reason="D-Bus, over which Bluetooth is reached, does not run.",
                remedy="sudo apt install dbus bluez && sudo systemctl enable --now dbus bluetooth",
            )
    try:
        return BluetoothScan(asyncio.run(_scan(timeout_s)))
    except Exception as error:
        # bleak lets its backends' errors through; whatever it was, nobody could look.
        reason, remedy = bluetooth_failure(error)
        return BluetoothScan(reason=reason, remedy=remedy)


async def _scan(timeout_s: float) -> tuple[FoundBluetooth, ...]:
    from bleak import BleakScanner

    # A D-Bus that takes the call and never answers would otherwise hold us for ever.
    async with asyncio.timeout(timeout_s + _ANSWER_S):
        heard = await BleakScanner.discover(timeout=timeout_s, return_adv=True)
    return describe(
        (device.address, told.local_name or device.name or "", told.service_uuids, told.rssi)
        for device, told in heard.values()
    )


def describe(heard: Iterable[tuple[str, str, Sequence[str], int]]) -> tuple[FoundBluetooth, ...]:
    """Turn (address, name, services, signal) into what can be shown: ECG sensors first, then the nearest.

    What says neither its name nor a service that is known is left out. A name is the better address, for it
    stays when the address changes; where two share it, the address must do.
    """
    heard = list(heard)
    names = Counter(name for _, name, _, _ in heard)
    found = []
    for address, name, services, rssi_dbm in heard:
        row = guess_radio(name, services)
        if not name and row is None:
            continue
        port = f"ble:{name if name and names[name] == 1 and _is_plain(name) else address}"
        if row is None:
            found.append(FoundBluetooth(address, name, "", rssi_dbm, port))
        else:
            found.append(
                FoundBluetooth(address, name, row.description, rssi_dbm, port, row.kind, row.measures_ecg)
            )
    return tuple(sorted(found, key=lambda one: (not one.streams, not one.description, -(one.rssi_dbm or 0))))


def _is_plain(name: str) -> bool:
    """Whether a name can stand in an address as it is."""
    return name.isprintable() and "?" not in name and name == name.strip()


def _run(words: Sequence[str]) -> str:
    """Return what a command printed; nothing when it is missing, fails or does not end."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_COMMAND_S, errors="replace")
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def find_paired(command: Callable[[Sequence[str]], str] = _run) -> tuple[FoundBluetooth, ...]:
    """List the ECG devices that are paired for Bluetooth classic, with their ``bt:`` addresses.

    They do not advertise themselves, so only the Bluetooth daemon knows of them; it is asked through
    ``bluetoothctl``, and where that is missing nothing is found.
    """
    found = []
    for address, name in _PAIRED.findall(command(["bluetoothctl", "devices", "Paired"])):
        row = guess_radio(name)
        # What ends in -BLE is the other radio of the same Shimmer3R.
        if row is not None and row.kind in ("shimmer3", "bitalino") and not name.upper().endswith("-BLE"):
            found.append(
                FoundBluetooth(
                    address, name, f"{row.description}, paired", None, f"bt:{address}", row.kind, True
                )
            )
    return tuple(found)


def bluetooth_failure(error: BaseException) -> tuple[str, str]:
    """Why Bluetooth could not be used and what mends it, from what bleak raised."""
    text = f"{type(error).__name__}: {error}"
    details = " ".join(str(part) for part in _causes(error))
    if isinstance(error, ModuleNotFoundError):
        return "The Python package bleak is not installed.", "pip install bleak"
    if isinstance(error, FileNotFoundError):
        return (
            "D-Bus, over which Bluetooth is reached, does not run.",
            "sudo apt install dbus bluez && sudo systemctl enable --now dbus bluetooth",
        )
    if isinstance(error, TimeoutError):
        return "The Bluetooth daemon does not answer.", "sudo systemctl restart bluetooth"
    if "ServiceUnknown" in details or "NameHasNoOwner" in details:
        return (
            "The Bluetooth daemon does not run.",
            "sudo apt install bluez && sudo systemctl enable --now bluetooth",
        )
    if "POWERED_OFF" in details or "NotReady" in details:
        return (
            "The Bluetooth adapter is switched off.",
            "sudo rfkill unblock bluetooth && bluetoothctl power on",
        )
    if "NO_BLUETOOTH" in details:
        return "This machine has no Bluetooth adapter.", "Plug one in, or use a USB cable or a file."
    if isinstance(error, PermissionError) or "AccessDenied" in details:
        return (
            "This user may not use Bluetooth.",
            "sudo usermod -aG bluetooth $USER, then log in again.",
        )
    return f"Bluetooth cannot be used: {text}.", "sudo systemctl restart bluetooth"


def _causes(error: BaseException) -> Sequence[object]:
    return (error, *error.args, getattr(error, "reason", ""), getattr(error, "dbus_error", ""))
