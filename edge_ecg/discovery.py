"""What is plugged in or in radio range, and what it most likely is.

Ports are read from ``/sys`` (on other systems pyserial lists them) and none is opened: opening one resets
many boards. Bluetooth LE is asked through bleak, when there is an adapter to ask.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PORTS = re.compile(r"(ttyUSB|ttyACM|rfcomm)\d+")
_FT2232 = ("0403", "6010")
# Roving Networks and Microchip: the makers of the Bluetooth modules in a Shimmer3.
_SHIMMER_RADIOS = ("00:06:66", "d8:80:39", "68:27:19", "80:1f:12")
_TEXT = "text"
_ANSWER_S = 5.0

# (vendor, product or None) -> (device kind for --device or None, what it is)
_USB: dict[tuple[str, str | None], tuple[str | None, str]] = {
    ("0403", "6015"): (None, "FTDI adapter: a board that sends text, or an OpenBCI dongle (a later version)"),
    ("0403", None): (_TEXT, "FTDI adapter: a board that sends text"),
    ("1a86", None): (_TEXT, "text board (CH340)"),
    ("2341", None): (_TEXT, "text board (Arduino)"),
    ("2a03", None): (_TEXT, "text board (Arduino)"),
    ("10c4", None): (_TEXT, "text board (CP210x)"),
    ("303a", None): (_TEXT, "text board (ESP32)"),
    ("2e8a", None): (_TEXT, "text board (Raspberry Pi Pico)"),
    ("239a", None): (_TEXT, "text board (Adafruit)"),
    ("16c0", "0483"): (_TEXT, "text board (Teensy)"),
}
_DOCK = "Shimmer dock, not a stream: a Shimmer3 sends its ECG over Bluetooth (/dev/rfcomm0)"
_PERHAPS_DOCK = f"two-port FTDI adapter, most likely a {_DOCK}"


@dataclass(frozen=True, slots=True)
class FoundPort:
    """A serial port.

    Attributes
    ----------
    address:
        What to give to ``--port``; a name that stays the same (``/dev/serial/by-id``) where there is one.
    device_path:
        The port's own name, such as ``/dev/ttyUSB0``.
    description:
        What it most likely is.
    kind:
        What ``--device`` calls it; None when that is open.
    streams:
        False for what is known to send no ECG.
    vid, pid:
        USB vendor and product, four hexadecimal digits, or None.

    """

    address: str
    device_path: str
    description: str
    kind: str | None = None
    streams: bool = True
    vid: str | None = None
    pid: str | None = None


@dataclass(frozen=True, slots=True)
class FoundBluetooth:
    """A device that advertises itself over Bluetooth LE."""

    address: str
    name: str
    description: str
    rssi_dbm: int


@dataclass(frozen=True, slots=True)
class BluetoothScan:
    """What is in radio range; or ``reason`` and ``remedy`` when nobody could look."""

    devices: tuple[FoundBluetooth, ...] = ()
    reason: str = ""
    remedy: str = ""


def find_serial_ports(root: Path = Path("/")) -> list[FoundPort]:
    """List USB and Bluetooth serial ports, those that can stream first.

    Parameters
    ----------
    root:
        Where ``sys`` and ``dev`` lie.

    """
    found = _from_sysfs(root) if sys.platform == "linux" else _from_pyserial()
    return sorted(found, key=lambda port: (not port.streams, port.device_path))


def _from_sysfs(root: Path) -> list[FoundPort]:
    stable = _by_id(root)
    ports = []
    for tty in sorted((root / "sys/class/tty").glob("*")):
        if not _PORTS.fullmatch(tty.name):
            continue
        device_path = f"/dev/{tty.name}"
        if tty.name.startswith("rfcomm"):
            ports.append(
                _bluetooth_port(device_path, _read(tty / "address") or _read(tty / "device/address"))
            )
            continue
        usb = _usb_device(tty / "device")
        text = " ".join(_read(usb / name) for name in ("manufacturer", "product")) if usb else ""
        ids = (_read(usb / "idVendor"), _read(usb / "idProduct")) if usb else ("", "")
        ports.append(_usb_port(stable.get(tty.name, device_path), device_path, *ids, text.strip()))
    return ports


def _usb_device(device: Path) -> Path | None:
    """The directory of the USB device above a port's own directory."""
    if not device.exists():
        return None
    place = device.resolve()
    for parent in (place, *place.parents):
        if (parent / "idVendor").is_file():
            return parent
    return None


def _by_id(root: Path) -> dict[str, str]:
    """Port name -> its name under ``/dev/serial/by-id``, which stays the same from one day to the next."""
    folder = root / "dev/serial/by-id"
    links = sorted(folder.iterdir()) if folder.is_dir() else []
    return {link.readlink().name: f"/dev/serial/by-id/{link.name}" for link in links if link.is_symlink()}


def _from_pyserial() -> list[FoundPort]:
    from serial.tools.list_ports import comports

    return [
        _usb_port(port.device, port.device, f"{port.vid:04x}", f"{port.pid:04x}", port.description or "")
        for port in comports()
        if port.vid is not None and port.pid is not None
    ]


def _usb_port(address: str, device_path: str, vid: str, pid: str, text: str) -> FoundPort:
    vid, pid = vid.lower(), pid.lower()
    if "shimmer" in text.lower() or (vid, pid) == _FT2232:
        what = _DOCK if "shimmer" in text.lower() else _PERHAPS_DOCK
        return FoundPort(address, device_path, what, None, False, vid or None, pid or None)
    kind, what = _USB.get((vid, pid)) or _USB.get((vid, None)) or (None, "USB serial port")
    named = f"{what}: {text}" if text and kind is None and ":" not in what else what
    return FoundPort(address, device_path, named, kind, True, vid or None, pid or None)


def _bluetooth_port(device_path: str, remote: str) -> FoundPort:
    shimmer = remote.lower().startswith(_SHIMMER_RADIOS)
    likely = "most likely" if shimmer else "such as"
    what = f"Bluetooth serial{f' to {remote}' if remote else ''}, {likely} a Shimmer3"
    return FoundPort(device_path, device_path, what, "shimmer3" if shimmer else None)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def find_bluetooth(timeout_s: float, root: Path = Path("/")) -> BluetoothScan:
    """Listen for Bluetooth LE advertisements for ``timeout_s`` seconds.

    Never raises for a missing radio, daemon or package: the result says in words what is missing.
    """
    if sys.platform == "linux":
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
    found = [
        FoundBluetooth(device.address, name, guess_by_name(name), advertisement.rssi)
        for device, advertisement in heard.values()
        if (name := advertisement.local_name or device.name or "")
    ]
    return tuple(sorted(found, key=lambda one: (not one.description, -one.rssi_dbm)))


def guess_by_name(name: str) -> str:
    """What a device of this name is, when it is a kind of ECG sensor that is known; else an empty string."""
    lower = name.lower()
    if lower.startswith("shimmer3"):
        return "Shimmer3: pair it (PIN 1234), then sudo rfcomm bind 0 ADDRESS and --port /dev/rfcomm0"
    if lower.startswith("polar h10"):
        return "Polar H10 chest strap (read by a later version)"
    if lower.startswith("movesense"):
        return "Movesense sensor (read by a later version)"
    return ""


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
