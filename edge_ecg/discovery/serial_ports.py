"""Serial ports and what is most likely behind them.

They are read from ``/sys`` (on other systems pyserial lists them) and none is opened: opening one resets many
boards.
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PORTS = re.compile(r"(ttyUSB|ttyACM|rfcomm)\d+")
_FT2232 = ("0403", "6010")
# Roving Networks and Microchip: the makers of the Bluetooth modules in a Shimmer3.
_SHIMMER_RADIOS = ("00:06:66", "d8:80:39", "68:27:19", "80:1f:12")

# (vendor, product or None) -> what it is. What it speaks (text, our framed format, OpenView) shows only when
# it is opened.
_USB: dict[tuple[str, str | None], str] = {
    ("0403", "6015"): "FTDI adapter: a board of your own, or an OpenBCI dongle",
    ("0403", None): "FTDI adapter: a board of your own",
    ("1a86", None): "board (CH340)",
    ("2341", None): "board (Arduino)",
    ("2a03", None): "board (Arduino)",
    ("10c4", None): "board (CP210x)",
    ("303a", None): "board (ESP32)",
    ("2e8a", None): "board (Raspberry Pi Pico)",
    ("239a", None): "board (Adafruit)",
    ("16c0", "0483"): "board (Teensy)",
}
_DOCK = "Shimmer dock, not a stream: a Shimmer3 sends its ECG over Bluetooth (bt:ADDRESS)"
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
    found = {}
    # Links come and go with their devices, and the folder with the last of them.
    with suppress(OSError):
        for link in sorted((root / "dev/serial/by-id").iterdir()):
            with suppress(OSError):
                found[link.readlink().name] = f"/dev/serial/by-id/{link.name}"
    return found


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
    unknown = f"USB serial port: {text}" if text else "USB serial port"
    what = _USB.get((vid, pid)) or _USB.get((vid, None)) or unknown
    return FoundPort(address, device_path, what, None, True, vid or None, pid or None)


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
