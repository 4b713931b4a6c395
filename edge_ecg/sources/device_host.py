"""Serving one virtual device to other programs: the loop that a pseudo-terminal and a TCP port share."""

from __future__ import annotations

import errno
import time
from abc import abstractmethod
from collections.abc import Callable

from edge_ecg_bridge.emulators import Emulator
from edge_ecg_bridge.faults import FaultyEmulator, LinkState

from .base import Clock
from .hosting import Host

_POLL_S = 0.02
# A host that has not read for so much of the device's time has gone, as far as a radio link can tell.
_STUCK_S = 10.0
_DRAIN_S = 1.0


class DeviceHost(Host):
    """Serves one virtual device on a port until it ends or is told to stop.

    The host may open and close the port as often as it likes. As with a radio, a host that closes the port or
    stops reading has lost the link, and the device notices. A device that the fault ``unplug`` takes away
    takes the port with it, and brings it back.

    Parameters
    ----------
    emulator:
        The device.
    speed:
        Device seconds per second of ``clock``.
    on_change:
        Called with ``opened`` and ``closed`` when a host comes and goes, and with ``unplugged`` and
        ``plugged in`` when the device does.

    Attributes
    ----------
    port:
        What to open.

    """

    def __init__(
        self,
        emulator: Emulator,
        *,
        speed: float = 1.0,
        clock: Clock = time.monotonic,
        on_change: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(emulator, on_change)
        self._speed = speed
        self._clock = clock
        self._begin_s = clock()
        self._pending = b""
        self._stuck_since_s: float | None = None
        self._opened = False
        self._ever_opened = False
        self._plugged = True

    def now(self) -> float:
        """Return the device's time."""
        return (self._clock() - self._begin_s) * self._speed

    def serve(self) -> str:
        """Serve until the end and say why it came: ``recording over``, ``unplugged`` or ``stopped``."""
        while not self._stop.is_set():
            if not self._watch_plug():
                self._stop.wait(_POLL_S)
                self._emulator.bytes_to_send(self.now())  # to nobody
                continue
            self._watch_host()
            if not self._opened:
                self._stop.wait(_POLL_S)
                if self._ever_opened:
                    self._emulator.bytes_to_send(self.now())  # to nobody
            else:
                self._carry()
            if self._emulator.ended:
                self._drain()
                return self._why_ended()
        return "stopped"

    # -- what a kind of port does ----------------------------------------------------------------------

    @abstractmethod
    def _plug_in(self) -> None:
        """Make the port, and set ``port``."""

    @abstractmethod
    def _unplug(self) -> None:
        """Take the port away under whoever has it open."""

    @abstractmethod
    def _host_is_there(self) -> bool:
        """Whether a host has the port open."""

    @abstractmethod
    def _receive(self, timeout_s: float) -> bytes:
        """Wait for bytes from the host."""

    @abstractmethod
    def _send(self, data: bytes) -> int:
        """Send what can be sent now and return how many bytes; OSError when nobody is there."""

    @abstractmethod
    def _unread(self) -> int:
        """Return how many bytes wait for the host to read them."""

    # -- carrying bytes --------------------------------------------------------------------------------

    def _watch_plug(self) -> bool:
        """Follow the device's own plug; return whether it is in."""
        emulator, plugged = self._emulator, True
        if isinstance(emulator, FaultyEmulator):
            plugged = emulator.state(self.now()) is not LinkState.UNPLUGGED
        if plugged != self._plugged:
            self._plugged = plugged
            if plugged:
                self._plug_in()
            else:
                self._pending, self._opened = b"", False
                self._unplug()
            self._on_change("plugged in" if plugged else "unplugged")
        return plugged

    def _watch_host(self) -> None:
        opened = self._host_is_there()
        if opened == self._opened:
            return
        self._opened = opened
        self._ever_opened = self._ever_opened or opened
        if not opened:
            self._emulator.link_lost()
            self._pending = b""
        self._on_change("opened" if opened else "closed")

    def _carry(self) -> None:
        self._pending += self._emulator.bytes_to_send(self.now())
        self._write()
        due_s = self._emulator.next_due_s
        wait_s = _POLL_S if due_s is None else max((due_s - self.now()) / self._speed, 0.0)
        data = self._receive(min(max(wait_s, 0.001), _POLL_S))
        if data:
            self._emulator.receive(data, self.now())

    def _write(self) -> None:
        try:
            while self._pending:
                self._pending = self._pending[self._send(self._pending) :]
        except BlockingIOError:
            now_s = self.now()
            if self._stuck_since_s is None:
                self._stuck_since_s = now_s
            elif now_s - self._stuck_since_s > _STUCK_S:
                self._emulator.link_lost()
                self._pending = b""
            return
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EPIPE, errno.ECONNRESET):
                raise
            self._pending = b""
        self._stuck_since_s = None

    def _drain(self) -> None:
        """Give the host the time to read what it was sent before the port disappears."""
        end_s = self._clock() + _DRAIN_S
        while self._opened and self._clock() < end_s and not self._stop.wait(_POLL_S):
            self._write()
            if not self._pending and not self._unread():
                return
            self._watch_host()
