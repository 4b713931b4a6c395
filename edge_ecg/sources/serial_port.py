"""Serial ports: USB boards, bound Bluetooth devices, ptys, and ports of other machines."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import replace

import serial

from ..discovery import find_serial_ports
from .address import SERIAL, Address
from .base import Clock
from .opening import ByteStreamDoor, open_door
from .port_faults import explain
from .session_source import SessionSource
from .transport import TransportLostError

_POLL_S = 0.05
_WRITE_S = 2.0

try:
    import termios

    # Of a port that goes while it is being set up: pyserial passes it on as it is, which is no OSError.
    _NOT_SET: tuple[type[Exception], ...] = (OSError, termios.error)
except ImportError:  # on Windows
    _NOT_SET = (OSError,)


class SerialTransport:
    """A port opened by pyserial, for this process alone; see :class:`edge_ecg.sources.transport.Transport`.

    Raises
    ------
    DeviceError
        When the port cannot be opened, with what to do about it.

    """

    def __init__(self, address: Address, baud: int, clock: Clock = time.monotonic) -> None:
        self.name = port_name(address)
        self._clock = clock
        # pyserial's RFC 2217 refuses to be opened with a limit to writing; its socket has one of its own.
        write_s = _WRITE_S if address.scheme == SERIAL else None
        try:
            self._port = serial.serial_for_url(
                self.name, baudrate=baud, timeout=_POLL_S, write_timeout=write_s, exclusive=True
            )
        except (OSError, ValueError) as error:  # ValueError: a malformed URL
            raise explain(self.name, error) from None
        except _NOT_SET as error:
            raise explain(self.name, OSError(*error.args)) from None

    def now(self) -> float:
        """Return the host clock."""
        return self._clock()

    def set_baud(self, baud: int) -> None:
        """Change the speed of the open port, and forget what came at the old one."""
        # The next read tells that it has gone; ValueError: a server that has not this speed.
        with suppress(ValueError, *_NOT_SET):
            self._port.baudrate = baud
            self._port.reset_input_buffer()

    def read(self, timeout_s: float, gather_s: float = 0.0) -> bytes:
        """Wait up to ``timeout_s`` (at most 50 ms at once) for bytes."""
        try:
            data: bytes = self._port.read(max(1, self._port.in_waiting))
            if data and gather_s:
                time.sleep(gather_s)
                data += self._port.read(self._port.in_waiting)
            return data
        except OSError as error:
            raise TransportLostError(str(error)) from None

    def write(self, data: bytes) -> None:
        """Send all of it."""
        try:
            self._port.write(data)
        except OSError as error:
            raise TransportLostError(str(error)) from None

    def close(self) -> None:
        """Give the port back."""
        with suppress(OSError):
            self._port.close()


def open_serial(
    address: Address, *, device: str | None = None, clock: Clock = time.monotonic
) -> SessionSource:
    """Open what is behind a serial port; errors as in :class:`edge_ecg.sources.opening.ByteStreamDoor`."""
    place = _Place(address, clock)
    door = ByteStreamDoor(address, place.open, name=port_name(address), device=device, has_speed=True)
    return open_door(address, door, clock)


class _Place:
    """Where the port is: its name, and the one that it keeps when it comes back under another number."""

    def __init__(self, address: Address, clock: Clock) -> None:
        self._address = address
        self._clock = clock
        self._lasting: str | None = None

    def open(self, baud: int, rescan: bool) -> SerialTransport:
        target = self._address.target
        if rescan and self._lasting is not None and not os.path.exists(target):
            target = self._lasting
        transport = SerialTransport(replace(self._address, target=target), baud, self._clock)
        if self._lasting is None and self._address.scheme == SERIAL:
            path = os.path.realpath(target)
            ports = (port.address for port in find_serial_ports() if port.device_path == path)
            self._lasting = next(ports, target)
        return transport


def port_name(address: Address) -> str:
    """Return what pyserial calls the port."""
    return address.target if address.scheme == SERIAL else f"{address.scheme}://{address.target}"
