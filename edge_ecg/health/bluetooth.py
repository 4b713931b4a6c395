"""Bluetooth: adapter, soft block, daemon, power, settings, and what disturbs it on a Raspberry Pi."""

from __future__ import annotations

import re

from .check import Check, ok, unknown, warn
from .host import Host

_NAME = "Bluetooth"
_MAIN_CONF = "etc/bluetooth/main.conf"
_MODE = re.compile(r"^\s*ControllerMode\s*=\s*(\w+)", re.MULTILINE | re.IGNORECASE)
_CHANNEL_MHZ = re.compile(r"channel \d+ \((\d+) MHz\)|freq: (\d+)")
_POLICIES = ("etc/dbus-1/system.d/bluetooth.conf", "usr/share/dbus-1/system.d/bluetooth.conf")
_DENIED = re.compile(r'context="default">\s*<deny send_destination="org\.bluez"')
_BAND_5_GHZ = 5000
_SET_DUAL = (
    f"sudo sed -i 's/^ *ControllerMode.*/ControllerMode = dual/' /{_MAIN_CONF} "
    "&& sudo systemctl restart bluetooth"
)
_SYSTEM_PYTHON = (
    "/usr/bin/python3 -m venv ~/edge-ecg && ~/edge-ecg/bin/pip install edge-ecg; "
    "or sudo rfcomm bind 0 ADDRESS and --port /dev/rfcomm0"
)


def bluetooth(host: Host) -> Check:
    """The first thing that keeps a Bluetooth sensor from being reached, from the radio upwards."""
    adapters = _adapters(host)
    if not adapters:
        if _disabled_in_config(host):
            return warn(
                _NAME,
                "The built-in radio is switched off in config.txt.",
                "sudo sed -i '/^dtoverlay=disable-bt/d' /boot/firmware/config.txt && sudo reboot",
            )
        return unknown(
            _NAME,
            "No adapter: sensors can be read by cable only.",
            "Plug in a USB Bluetooth adapter if you need one.",
        )
    blocked = _blocked(host)
    if blocked == "hard":
        return warn(_NAME, "The radio is switched off by a hardware switch.", "Switch it on (airplane mode).")
    if blocked == "soft":
        return warn(_NAME, "The radio is blocked by software (rfkill).", "sudo rfkill unblock bluetooth")
    if not host.exists("run/dbus/system_bus_socket"):
        return warn(
            _NAME,
            "D-Bus, over which Bluetooth is reached, does not run.",
            "sudo apt install dbus bluez && sudo systemctl enable --now dbus bluetooth",
        )
    if not host.runs("bluetoothd"):
        return warn(
            _NAME,
            "There is an adapter, but the Bluetooth daemon does not run.",
            "sudo apt install bluez && sudo systemctl enable --now bluetooth",
        )
    shown = host.command(["bluetoothctl", "show"])
    if shown is not None and "Powered: no" in shown:
        return warn(_NAME, f"The adapter {adapters[0]} is switched off.", "bluetoothctl power on")
    if shown is None or "Powered: yes" not in shown:
        return unknown(_NAME, f"{adapters[0]} and its daemon are there; whether it is on nobody tells.")
    return ok(_NAME, f"{adapters[0]} is on.")


def permission(host: Host) -> Check | None:
    """Whether this user may talk to the Bluetooth daemon: Debian's policy asks for a group."""
    policy = next((text for path in _POLICIES if (text := host.read(path))), "")
    if not _adapters(host) or host.user == 0 or not _DENIED.search(policy):
        return None
    name = "Bluetooth permission"
    for line in (host.read("etc/group") or "").splitlines():
        group, _, number = (line.split(":") + [""] * 3)[:3]
        if group == "bluetooth" and number.isdecimal() and int(number) in host.groups:
            return ok(name, "This user is in the group bluetooth.")
    return warn(
        name,
        "This user is not in the group bluetooth, which may use the Bluetooth daemon.",
        "sudo usermod -aG bluetooth $USER, then log out and in again.",
    )


def mode(host: Host) -> Check | None:
    """Which of the two kinds of Bluetooth the daemon's settings leave on."""
    name = "Bluetooth mode"
    text = host.read(_MAIN_CONF)
    if text is None or not _adapters(host):
        return None
    match = _MODE.search(text)
    chosen = match[1].lower() if match else "dual"
    if chosen == "bredr":
        return warn(
            name, "ControllerMode = bredr: sensors with Bluetooth LE (ble:) cannot be reached.", _SET_DUAL
        )
    if chosen == "le":
        return ok(
            name,
            f"ControllerMode = le: steady for ble: sensors; a Shimmer over bt: needs dual ({_SET_DUAL}).",
        )
    return ok(
        name,
        "LE and classic. Should ble: links break off again and again, and nothing needs bt:, "
        f"ControllerMode = le in /{_MAIN_CONF} often helps.",
    )


def sockets(host: Host) -> Check | None:
    """Whether this Python can open ``bt:`` addresses."""
    if not _adapters(host):
        return None
    name = "bt: addresses"
    if not host.bluetooth_sockets:
        return warn(
            name,
            "This Python was built without Bluetooth sockets (AF_BLUETOOTH); ble: and bound ports work.",
            _SYSTEM_PYTHON,
        )
    return ok(name, "This Python has Bluetooth sockets.")


def coexistence(host: Host) -> Check | None:
    """Whether WLAN and Bluetooth of a Raspberry Pi share one antenna in one band."""
    name = "Bluetooth and WLAN"
    built_in = [adapter for adapter in _adapters(host) if not _is_usb(host, adapter)]
    if not host.is_pi or not built_in:
        return None
    up = [path.parent.name for path in host.glob("sys/class/net/wlan*/operstate") if host.read(path) == "up"]
    if not up:
        return ok(name, "WLAN is off: the antenna is Bluetooth's alone.")
    if len(built_in) < len(_adapters(host)):
        return ok(name, "There is a USB adapter with an antenna of its own; give the sensors to that one.")
    found = _CHANNEL_MHZ.search(host.command(["iw", "dev"]) or "")
    mhz = int(found[1] or found[2]) if found else 0
    if mhz >= _BAND_5_GHZ:
        return ok(name, f"WLAN is at {mhz / 1000:.1f} GHz: out of Bluetooth's way.")
    if not mhz:
        return unknown(
            name,
            f"{up[0]} is on and shares Bluetooth's antenna; in which band it is nobody tells.",
            "Should links break off: the network by cable or at 5 GHz, or a USB Bluetooth adapter.",
        )
    return warn(
        name,
        f"{up[0]} is at {mhz / 1000:.1f} GHz and shares antenna and band with Bluetooth: links may break.",
        "The network by cable or at 5 GHz (nmcli connection modify NAME 802-11-wireless.band a), or a USB "
        "Bluetooth adapter.",
    )


def _adapters(host: Host) -> list[str]:
    # hci0:11 and the like are connections.
    return [path.name for path in host.glob("sys/class/bluetooth/hci*") if ":" not in path.name]


def _is_usb(host: Host, adapter: str) -> bool:
    place = (host.root / f"sys/class/bluetooth/{adapter}").resolve()
    return any(re.fullmatch(r"usb\d+", part.name) for part in place.parents)


def _disabled_in_config(host: Host) -> bool:
    lines = (host.read("boot/firmware/config.txt") or host.read("boot/config.txt") or "").splitlines()
    return any(re.match(r"\s*dtoverlay=(pi3-)?disable-bt\b", line) for line in lines)


def _blocked(host: Host) -> str:
    """``hard``, ``soft`` or an empty string."""
    radios = [path.parent for path in host.glob("sys/class/rfkill/*/type") if host.read(path) == "bluetooth"]
    return next(
        (kind for kind in ("hard", "soft") if any(host.read(radio / kind) == "1" for radio in radios)), ""
    )
