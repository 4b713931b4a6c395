"""Serial ports: USB boards, bound Bluetooth devices, ptys, and ports of other machines."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import replace

import serial

from edge_ecg_bridge.stream import BridgeError, Session

from ..discovery import find_serial_ports
from ..errors import DeviceError
from .address import SERIAL, Address
from .base import Clock
from .detect import find_kind
from .kinds import options_of, require_kind, session_for
from .port_faults import dock_hint, explain
from .reconnect import OPTION, Connect, wants_reconnect
from .session_source import SessionSource
from .transport import Transport, TransportLostError

_BAUD = 115200.0
_POLL_S = 0.05
_CHUNK = 4096


class SerialTransport:
    """A port opened by pyserial, for this process alone; see :class:`edge_ecg.sources.transport.Transport`.

    Raises
    ------
    DeviceError
        When the port cannot be opened, with what to do about it.

    """

    def __init__(self, address: Address, baud: int, clock: Clock = time.monotonic) -> None:
        self.name = address.target if address.scheme == SERIAL else f"{address.scheme}://{address.target}"
        self.baud = baud
        self._clock = clock
        # pyserial's socket:// tells whether bytes are waiting, not how many.
        self._counts_waiting = address.scheme != "socket"
        try:
            self._port = serial.serial_for_url(
                self.name, baudrate=baud, timeout=_POLL_S, write_timeout=2.0, exclusive=True
            )
        except (OSError, ValueError) as error:  # ValueError: a malformed URL
            raise explain(self.name, error) from None

    def now(self) -> float:
        """Return the host clock."""
        return self._clock()

    def set_baud(self, baud: int) -> None:
        """Change the speed of the open port, and forget what came at the old one."""
        with suppress(OSError):
            self._port.baudrate = self.baud = baud
            self._port.reset_input_buffer()

    def read(self, timeout_s: float, gather_s: float = 0.0) -> bytes:
        """Wait up to ``timeout_s`` (at most 50 ms at once) for bytes."""
        try:
            if not self._counts_waiting:
                return bytes(self._port.read(_CHUNK))
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
    """Open what is behind a serial port; ``device`` None finds out what it is, within 3 s.

    Raises
    ------
    UsageError
        When ``device`` or an option is unknown.
    DeviceError
        When the port cannot be opened, or what is behind it is no ECG device that edge-ecg knows.

    """
    kind = None if device is None else require_kind(device)
    address.require_known(options_of(kind) | {"baud", OPTION})
    again = wants_reconnect(address)
    if kind is not None:
        session_for(kind, address)  # a wrong option is found before the port is touched
    baud = address.number("baud", _BAUD, minimum=300, maximum=4_000_000)
    transport = SerialTransport(address, round(baud), clock)
    try:
        if kind is None:
            kind = find_kind(transport, None if "baud" in address.options else transport.set_baud)
            address.require_known(options_of(kind) | {"baud", OPTION})
        session = session_for(kind, address)
    except BridgeError as error:
        transport.close()
        raise DeviceError(
            error.what, why=error.why + dock_hint(transport.name), remedy=error.remedy
        ) from None
    except TransportLostError as error:
        transport.close()
        raise DeviceError(
            f"{transport.name} was lost while it was being opened.",
            why=str(error),
            remedy="Plug it in again and start again.",
        ) from None
    except BaseException:
        transport.close()
        raise
    connect = _reconnector(address, kind, transport.baud, clock) if again else None
    return SessionSource(address, transport, session, clock=clock, connect=connect)


def _reconnector(address: Address, kind: str, baud: int, clock: Clock) -> Connect:
    """Open the port that was open, by the name that stays the same when it is plugged into another socket."""
    path = os.path.realpath(address.target)
    stable = next((port.address for port in find_serial_ports() if port.device_path == path), address.target)

    def connect(rescan: bool) -> tuple[Transport, Session]:
        # A port that was asked for by its number may have got another one: then its lasting name finds it.
        name = stable if rescan and not os.path.exists(address.target) else address.target
        return SerialTransport(replace(address, target=name), baud, clock), session_for(kind, address)

    return connect
