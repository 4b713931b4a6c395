"""A virtual device on a real port: other programs open a pseudo-terminal and find a device behind it."""

from __future__ import annotations

import errno
import os
import select
import time
import tty
from collections.abc import Callable
from pathlib import Path

from edge_ecg_bridge.emulators import Emulator

from ..errors import DeviceError
from .base import Clock
from .device_host import DeviceHost

_CHUNK = 4096


class PtyHost(DeviceHost):
    """Serves one virtual device on a pseudo-terminal; see :class:`DeviceHost`.

    Parameters
    ----------
    link:
        A name for the port, made as a symbolic link and removed at the end; None for the pty's own name.

    Raises
    ------
    DeviceError
        When ``link`` is taken by something else or cannot be made.

    """

    def __init__(
        self,
        emulator: Emulator,
        *,
        link: str | Path | None = None,
        speed: float = 1.0,
        clock: Clock = time.monotonic,
        on_change: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(emulator, speed=speed, clock=clock, on_change=on_change)
        self._link = None if link is None else Path(link)
        self._linked = False
        self._master = -1
        self._poll = select.poll()
        self._plug_in()

    def close(self) -> None:
        """Hang up and remove the link; may be called twice."""
        self._unplug()

    def _plug_in(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        self.port = name = os.ttyname(slave)
        # From here on the pty reports a hang-up as long as no host has it open.
        os.close(slave)
        self._poll.register(self._master, select.POLLIN)
        if self._link is not None:
            try:
                _make_link(self._link, name)
            except BaseException:
                self._unplug()
                raise
            self._linked = True
            self.port = str(self._link)

    def _unplug(self) -> None:
        if self._linked and self._link is not None and self._link.is_symlink():
            self._link.unlink()
        self._linked = False
        if self._master >= 0:
            self._poll.unregister(self._master)
            os.close(self._master)
            self._master = -1

    def _events(self, timeout_s: float = 0.0) -> int:
        found = self._poll.poll(timeout_s * 1000.0)
        return found[0][1] if found else 0

    def _host_is_there(self) -> bool:
        return not self._events() & select.POLLHUP

    def _receive(self, timeout_s: float) -> bytes:
        if not self._events(timeout_s) & select.POLLIN:
            return b""
        try:
            return os.read(self._master, _CHUNK)
        except (BlockingIOError, OSError) as error:
            if error.errno not in (errno.EIO, errno.EAGAIN):
                raise
            return b""

    def _send(self, data: bytes) -> int:
        return os.write(self._master, data)

    def _unread(self) -> int:
        """Return how many bytes wait in the port for its reader."""
        import array
        import fcntl
        import termios

        try:
            fd = os.open(self.port, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            return 0
        try:
            count = array.array("i", [0])
            fcntl.ioctl(fd, termios.FIONREAD, count)
            return count[0]
        finally:
            os.close(fd)


def _make_link(link: Path, name: str) -> None:
    try:
        if link.is_symlink() and not link.exists():
            link.unlink()  # of a virtual device that was killed
        link.symlink_to(name)
    except FileExistsError:
        raise DeviceError(
            f"{link} exists already.", remedy="Give another name to --pty, or end the program that uses it."
        ) from None
    except OSError as error:
        raise DeviceError(
            f"The port's name {link} cannot be made.",
            why=str(error.strerror),
            remedy="Give a name in a folder that you may write to.",
        ) from None
