"""Serial ports: permission, what disturbs them, and what delays them."""

from __future__ import annotations

import re

from ..discovery import find_serial_ports, who_holds
from .check import Check, fail, ok, unknown, warn
from .host import Host

# Debian and its children call the group dialout, Arch calls it uucp; where both are, the ports are dialout's
# (Debian has kept an uucp for old programs, and lists it first).
_GROUPS = ("dialout", "uucp")
_PROCESS = re.compile(r"\(process (\d+)\)")
_RULES = "/etc/udev/rules.d/99-edge-ecg.rules"
_LATENCY_RULE = 'ACTION=="add", SUBSYSTEM=="usb-serial", DRIVER=="ftdi_sio", ATTR{latency_timer}="1"'


def permission(host: Host) -> Check:
    """Whether this user may open serial ports."""
    name = "serial permission"
    if host.user == 0:
        return ok(name, "root may open every port.")
    lines = [(line.split(":") + [""] * 4)[:4] for line in (host.read("etc/group") or "").splitlines()]
    known = {group: (number, members) for group, _, number, members in lines if number.isdecimal()}
    for group in (group for group in _GROUPS if group in known):
        number, members = known[group]
        if int(number) in host.groups:
            return ok(name, f"This user is in the group {group}.")
        listed = {member.strip() for member in members.split(",")} - {""}
        user = _user_name(host)
        if user in listed:
            return warn(
                name,
                f"{user} was added to the group {group}, but this session began before that.",
                f"Log out and in again (or, for this terminal only: newgrp {group}).",
            )
        return fail(
            name,
            f"This user is not in the group {group}, which owns the serial ports.",
            f"sudo usermod -aG {group} $USER, then log out and in again.",
        )
    return unknown(name, "No group owns the serial ports here (neither dialout nor uucp).")


def _user_name(host: Host) -> str:
    for line in (host.read("etc/passwd") or "").splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[2] == str(host.user):
            return fields[0]
    return ""


def ports(host: Host) -> Check:
    """What is plugged in."""
    name = "serial ports"
    found = find_serial_ports(host.root)
    if not found:
        return unknown(
            name, "None: no USB device is plugged in and none is bound over Bluetooth.", "edge-ecg run --demo"
        )
    listed = "; ".join(f"{port.device_path}: {port.description}" for port in found)
    if not any(port.streams for port in found):
        return warn(
            name,
            f"{listed}.",
            "Take the Shimmer out of its dock, pair it (bluetoothctl pair ADDRESS, PIN 1234), and give "
            "--port bt:ADDRESS",
        )
    return ok(name, f"{listed}.")


def in_use(host: Host) -> Check | None:
    """Whether another program has a port open: two readers would steal each other's bytes."""
    name = "port in use"
    found = find_serial_ports(host.root)
    held = [(port, who_holds(port.device_path, host.root)) for port in found]
    busy = [f"{port.device_path} is open in {holder}" for port, holder in held if holder]
    if not found:
        return None
    if busy:
        return warn(
            name,
            f"{'; '.join(busy)}.",
            "Close that program (a serial monitor, a terminal, another edge-ecg), or: "
            f"kill {' '.join(_PROCESS.findall('; '.join(busy)))}",
        )
    return ok(name, "No program that this user can see has one open.")


def brltty(host: Host) -> Check | None:
    """Brltty takes USB serial adapters for Braille displays: a port goes a second after it came."""
    if not host.runs("brltty"):
        return None
    return warn(
        "brltty",
        "brltty runs; it takes USB serial adapters (CH340, CP210x, FTDI) away for Braille displays.",
        "sudo systemctl disable --now brltty brltty-udev, or sudo apt remove brltty; then plug in again.",
    )


def modem_manager(host: Host) -> Check | None:
    """ModemManager writes to every new port to find a modem, and a board takes that for commands."""
    if not host.runs("ModemManager"):
        return None
    return warn(
        "ModemManager",
        "ModemManager runs; it opens every new serial port and writes modem commands to it.",
        "sudo systemctl disable --now ModemManager",
    )


def latency_timer(host: Host) -> Check | None:
    """FTDI adapters hold bytes back for 16 ms unless they are told not to."""
    slow = [
        f"{path.parent.name} {text} ms"
        for path in host.glob("sys/bus/usb-serial/devices/*/latency_timer")
        if (text := host.read(path)) and text.isdecimal() and int(text) > 1
    ]
    if not slow:
        return None
    return warn(
        "FTDI latency",
        f"The adapter holds bytes back: {', '.join(slow)}; 1 ms is possible.",
        f"echo '{_LATENCY_RULE}' | sudo tee {_RULES} && sudo udevadm control --reload, then plug in again.",
    )
