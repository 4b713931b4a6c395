"""A connected stream socket as a transport, and how one gets there over TCP.

RFCOMM uses the same transport: once connected, a Bluetooth socket reads and writes like any other.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from contextlib import suppress

from ..errors import DeviceError, UsageError
from .address import Address
from .base import Clock
from .transport import TransportLostError

_CHUNK = 4096
# No more at once: a sender that never pauses must not keep one read from returning.
_MOST = 16 * _CHUNK
_WRITE_S = 2.0
_CONNECT_S = 5.0
# A machine that was switched off sends no farewell. The session's own silence watch is quicker (5 s), but it
# cannot tell a quiet device from a dead connection; these make the kernel find out by itself.
_KEEPALIVE = {"TCP_KEEPIDLE": 3, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}


class SocketTransport:
    """Takes a connected stream socket over; see :class:`edge_ecg.sources.transport.Transport`."""

    def __init__(self, connection: socket.socket, name: str, clock: Clock = time.monotonic) -> None:
        self.name = name
        self._socket = connection
        self._clock = clock
        self._closed = False
        connection.setblocking(False)

    def now(self) -> float:
        """Return the host clock."""
        return self._clock()

    def read(self, timeout_s: float, gather_s: float = 0.0) -> bytes:
        """Wait up to ``timeout_s`` for bytes; TransportLostError when the other side has closed."""
        if not self._wait(timeout_s):
            return b""
        data = self._receive()
        if not data:
            raise TransportLostError("the other side closed the connection")
        if gather_s:
            time.sleep(gather_s)
            while len(data) < _MOST and self._wait(0.0):
                more = self._receive()
                if not more:
                    break  # closed: the next read says so, when these bytes have been used
                data += more
        return data

    def write(self, data: bytes) -> None:
        """Send all of it; TransportLostError when the other side does not take it within 2 s."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                if not self._wait(_WRITE_S, to_write=True):
                    raise TransportLostError(f"it took no bytes for {_WRITE_S:g} s") from None
            except OSError as error:
                raise TransportLostError(_reason(error)) from None

    def close(self) -> None:
        """Close the connection."""
        self._closed = True
        with suppress(OSError):
            self._socket.close()

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(_CHUNK)
        except OSError as error:
            raise TransportLostError(_reason(error)) from None

    def _wait(self, timeout_s: float, *, to_write: bool = False) -> bool:
        if self._closed:
            raise TransportLostError("the connection was closed")
        wanted = [self._socket]
        try:
            ready = (
                select.select([], wanted, [], timeout_s)
                if to_write
                else select.select(wanted, [], [], timeout_s)
            )
        except (OSError, ValueError) as error:  # ValueError: closed meanwhile
            raise TransportLostError(str(error)) from None
        return bool(ready[0] or ready[1])


def connect_tcp(address: Address, clock: Clock = time.monotonic) -> SocketTransport:
    """Connect to ``socket://HOST:PORT``.

    Raises
    ------
    UsageError
        When the target is not ``HOST:PORT``.
    DeviceError
        When nobody can be reached there within 5 s.

    """
    host, port = host_and_port(address)
    try:
        connection = socket.create_connection((host, port), timeout=_CONNECT_S)
    except (OSError, UnicodeError) as error:  # UnicodeError: no name at all, such as a..b
        raise _explain(f"{host}:{port}", host, error) from None
    with suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):  # not on every system
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return SocketTransport(connection, f"socket://{address.target}", clock)


def host_and_port(address: Address) -> tuple[str, int]:
    """Return what stands in ``HOST:PORT``; UsageError when that is something else."""
    host, colon, port = address.target.rstrip("/").rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(
            f"The address {address} names no host and port.", remedy="Write it as socket://HOST:PORT."
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


def _explain(place: str, host: str, error: OSError | UnicodeError) -> DeviceError:
    if isinstance(error, socket.gaierror | UnicodeError):
        return DeviceError(
            f"There is no machine named {host}.",
            why=str(error if isinstance(error, UnicodeError) else error.strerror),
            remedy="Check the name, or give its IP address.",
        )
    if isinstance(error, ConnectionRefusedError):
        return DeviceError(
            f"Nobody listens at {place}.",
            why="The machine is there and refused the connection.",
            remedy="Start the server there (ser2net, socat, edge-ecg simulate), or check the port number.",
        )
    if isinstance(error, TimeoutError) or error.errno in (
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.ENETUNREACH,
    ):
        return DeviceError(
            f"{place} cannot be reached.",
            why=f"No answer within {_CONNECT_S:g} s." if isinstance(error, TimeoutError) else _reason(error),
            remedy=f"Check that it is switched on and in this network: ping {host}",
        )
    return DeviceError(
        f"{place} cannot be opened.", why=_reason(error), remedy="Check host, port and the network."
    )


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
