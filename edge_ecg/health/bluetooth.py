"""Bluetooth: adapter, soft block, daemon, power."""

from __future__ import annotations

from .check import Check, ok, unknown, warn
from .host import Host

_NAME = "Bluetooth"


def bluetooth(host: Host) -> Check:
    """The first thing that keeps a Bluetooth sensor from being reached, from the radio upwards."""
    adapters = [path.name for path in host.glob("sys/class/bluetooth/hci*") if ":" not in path.name]
    if not adapters:
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


def _blocked(host: Host) -> str:
    """``hard``, ``soft`` or an empty string."""
    radios = [path.parent for path in host.glob("sys/class/rfkill/*/type") if host.read(path) == "bluetooth"]
    return next(
        (kind for kind in ("hard", "soft") if any(host.read(radio / kind) == "1" for radio in radios)), ""
    )
