"""What the service uses of the machine: clocks, output, devices; each may be another in a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TextIO

from ..discovery import find_serial_ports
from ..errors import DeviceError
from ..sources import Source, open_source


def only_port() -> str:
    """Return the address of the one device that is plugged in; DeviceError when there is none, or several."""
    ports = [port for port in find_serial_ports() if port.streams]
    if len(ports) == 1:
        return ports[0].address
    if not ports:
        raise DeviceError("No device is plugged in.", remedy="Plug one in, or name one as source.port.")
    raise DeviceError(
        f"There are {len(ports)} devices to choose from.",
        why=f"{', '.join(port.address for port in ports)}.",
        remedy="Name one of them as source.port in the configuration.",
    )


@dataclass(frozen=True, slots=True)
class World:
    """What the reader uses of the machine; the defaults of a test may be others.

    Attributes
    ----------
    clock, wall_clock:
        Monotonic seconds, and now.
    stdout:
        Where records go when the log is to hold them.
    open_source:
        Opens an address.
    only_port:
        Returns the address of the one device that is plugged in; DeviceError when there is none, or several.

    """

    clock: Callable[[], float]
    wall_clock: Callable[[], datetime]
    stdout: TextIO
    open_source: Callable[..., Source] = open_source
    only_port: Callable[[], str] = only_port
