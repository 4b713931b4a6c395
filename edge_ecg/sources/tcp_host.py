"""A virtual device on a TCP port of this machine: ``socket://127.0.0.1:PORT`` for edge-ecg."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from edge_ecg_bridge.emulators import Emulator

from ..errors import DeviceError
from .base import Clock
from .device_host import DeviceHost

_CHUNK = 4096
_HOST = "127.0.0.1"


class TcpHost(DeviceHost):
    """Serves one virtual device to one TCP client after another; see :class:`DeviceHost`.

    Only programs of this machine can reach it.

    Parameters
    ----------
    tcp_port:
        Number of the port; 0 for any that is free.

    Raises
    ------
    DeviceError
        When the port cannot be had.

    """

    def __init__(
        self,
        emulator: Emulator,
        *,
        tcp_port: int = 0,
        speed: float = 1.0,
        clock: Clock = time.monotonic,
        on_change: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(emulator, speed=speed, clock=clock, on_change=on_change)
        self._tcp_port = tcp_port
        self._listener: socket.socket | None = None
        self._client: socket.socket | None = None
        self._waiting = b""
        self._left = False
        self._plug_in()

    def close(self) -> None:
        """Hang up; may be called twice."""
        self._unplug()

    def _plug_in(self) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((_HOST, self._tcp_port))
            listener.listen(1)
        except (OSError, OverflowError) as error:
            listener.close()
            raise DeviceError(
                f"The TCP port {self._tcp_port} cannot be had.",
                why=str(error),
                remedy="Give another one to --tcp, or 0 for any that is free.",
            ) from None
        listener.setblocking(False)
        self._listener = listener
        self._tcp_port = listener.getsockname()[1]
        self.port = f"socket://{_HOST}:{self._tcp_port}"

    def _unplug(self) -> None:
        for end in (self._client, self._listener):
            if end is not None:
                end.close()
        self._client = self._listener = None
        self._waiting = b""

    def _host_is_there(self) -> bool:
        if self._left:  # told once, before the next one is let in
            self._left = False
            return False
        if self._client is None and self._listener is not None:
            with suppress(BlockingIOError):
                self._client, _ = self._listener.accept()
                self._client.setblocking(False)
                self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        elif self._client is not None and not self._waiting:
            self._waiting = self._read()
        if self._client is None:
            self._left = False
        return self._client is not None

    def _read(self) -> bytes:
        """Read what is there; a client that has gone is let go."""
        if self._client is None:
            return b""
        try:
            data = self._client.recv(_CHUNK)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._client.close()
            self._client = None
            self._left = True
        return data

    def _receive(self, timeout_s: float) -> bytes:
        data, self._waiting = self._waiting, b""
        if data or self._client is None:
            return data
        ready, _, _ = select.select([self._client], [], [], timeout_s)
        return self._read() if ready else b""

    def _send(self, data: bytes) -> int:
        return len(data) if self._client is None else self._client.send(data)

    def _unread(self) -> int:
        return 0
