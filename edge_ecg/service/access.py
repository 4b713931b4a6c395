"""What of the machine an address needs: families of sockets, device nodes, groups, and what runs before.

The service gets these and nothing else (:mod:`edge_ecg.service.unit`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..sources.address import SERIAL, Address, parse_address

# Numbers of the kernel's list of devices (Documentation/admin-guide/devices.txt) rather than names: systemd
# looks a name up when the unit starts, and the driver of an adapter that is plugged in later is not loaded
# then.
_USB_SERIAL = ("char-188 rw", "char-166 rw")  # ttyUSB, ttyACM
_RFCOMM = ("char-216 rw",)
# Drivers that are built into the kernel of a Pi.
_UARTS = ("char-ttyAMA rw", "char-ttyS rw")
_PTYS = ("char-pts rw",)
_NODES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"/dev/ttyUSB\d+|/dev/ttyACM\d+|/dev/serial/by-(id|path)/.*", _USB_SERIAL),
    (r"/dev/rfcomm\d+", _RFCOMM),
    (r"/dev/ttyAMA\d+|/dev/ttyS\d+|/dev/serial\d+", _UARTS),
    (r"/dev/pts/\d+", _PTYS),
)

SERIAL_GROUPS = ("dialout", "uucp")


@dataclass(frozen=True, slots=True)
class Access:
    """What an address needs.

    Attributes
    ----------
    what:
        In words, for the comment in the unit.
    families:
        Of sockets (socket(2)); ``AF_UNIX`` is for journald and systemd itself.
    devices:
        As ``DeviceAllow=`` takes them; empty when no device node is needed.
    groups:
        That own the devices; those of them that exist here are given.
    after:
        Units that are to run before.
    network:
        Whether it needs the machine's own network, addresses and all.
    radio:
        Whether it needs Bluetooth sockets, which exist in the machine's own network namespace alone.
    reads:
        Files and folders that it reads.

    """

    what: str
    families: tuple[str, ...] = ("AF_UNIX",)
    devices: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    network: bool = False
    radio: bool = False
    reads: tuple[Path, ...] = ()


def access_for(port: str | None, resolve: Callable[[str], str] = os.path.realpath) -> Access:
    """Return what the address ``port`` needs; None stands for whichever serial device is plugged in.

    Parameters
    ----------
    port:
        A checked address.
    resolve:
        Follows the links of a path: what is below a name of one's own is asked of the machine.

    """
    if port is None:
        return Access(
            "any USB serial adapter or bound Bluetooth port",
            devices=(*_USB_SERIAL, *_RFCOMM),
            groups=SERIAL_GROUPS,
        )
    address = parse_address(port)
    return _BY_SCHEME[address.scheme](address, resolve)


def _serial(address: Address, resolve: Callable[[str], str]) -> Access:
    named = address.target
    devices = dict.fromkeys((*_nodes(named), *_nodes(resolve(named))))
    return Access(f"the serial port {named}", devices=tuple(devices), groups=SERIAL_GROUPS)


def _nodes(path: str) -> tuple[str, ...]:
    for pattern, devices in _NODES:
        if re.fullmatch(pattern, path):
            return devices
    return (f"{path} rw",) if path.startswith("/dev/") else ()


def _bluetooth(address: Address, _resolve: Callable[[str], str]) -> Access:
    return Access(
        f"Bluetooth classic, {address}",
        ("AF_UNIX", "AF_BLUETOOTH"),
        after=("bluetooth.service",),
        radio=True,
    )


def _ble(address: Address, _resolve: Callable[[str], str]) -> Access:
    # Everything goes over D-Bus to bluetoothd; the process opens no Bluetooth socket.
    return Access(
        f"Bluetooth LE, {address}", groups=("bluetooth",), after=("bluetooth.service", "dbus.service")
    )


def _tcp(address: Address, _resolve: Callable[[str], str]) -> Access:
    return Access(
        f"TCP, {address}",
        ("AF_UNIX", "AF_INET", "AF_INET6"),
        after=("network-online.target",),
        network=True,
    )


def _lsl(address: Address, _resolve: Callable[[str], str]) -> Access:
    # liblsl asks for the list of network interfaces, which is a netlink socket.
    return Access(
        f"the lab streaming layer, {address}",
        ("AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"),
        after=("network-online.target",),
        network=True,
    )


def _file(address: Address, _resolve: Callable[[str], str]) -> Access:
    # The folder: a recording may be several files (WFDB), and have marks beside it.
    return Access(f"the recording {address.target}", reads=(Path(address.target).parent,))


def _simulated(address: Address, _resolve: Callable[[str], str]) -> Access:
    played = address.options.get("from", "").removeprefix("file:").partition("?")[0]
    return Access("a simulated device", reads=(Path(played).parent,) if Path(played).is_absolute() else ())


_BY_SCHEME: dict[str, Callable[[Address, Callable[[str], str]], Access]] = {
    SERIAL: _serial,
    "rfc2217": _tcp,
    "socket": _tcp,
    "bt": _bluetooth,
    "ble": _ble,
    "lsl": _lsl,
    "file": _file,
    "sim": _simulated,
}
