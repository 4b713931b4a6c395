"""A virtual device on a real port: other programs open a pseudo-terminal and find a device behind it."""

from __future__ import annotations

import errno
import os
import select
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Self

from edge_ecg_bridge.emulators import Emulator

from ..errors import DeviceError
from .base import Clock

_POLL_S = 0.02
_CHUNK = 4096
# A host that has not read for so much of the device's time has gone, as far as a radio link can tell.
_STUCK_S = 10.0
_DRAIN_S = 1.0


class PtyHost:
    """Serves one virtual device on a pseudo-terminal until it ends or is told to stop.

    The host may open and close the port as often as it likes. As with a radio, a host that closes the port
    or stops reading has lost the link, and the device notices.

    Parameters
    ----------
    emulator:
        The device.
    link:
        A name for the port, made as a symbolic link and removed at the end; None for the pty's own name.
    speed:
        Device seconds per second of ``clock``.
    on_change:
        Called with ``"opened"`` and ``"closed"`` when a host comes and goes.

    Attributes
    ----------
    port:
        What to open.

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
        self._emulator = emulator
        self._speed = speed
        self._clock = clock
        self._on_change = on_change
        self._begin_s = clock()
        self._stop = threading.Event()
        self._pending = b""
        self._stuck_since_s: float | None = None
        self._opened = False
        self._ever_opened = False
        self._master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        name = os.ttyname(slave)
        # From here on the pty reports a hang-up as long as no host has it open.
        os.close(slave)
        self._poll = select.poll()
        self._poll.register(self._master, select.POLLIN)
        self._link = None if link is None else Path(link)
        self.port = name
        if self._link is not None:
            try:
                _make_link(self._link, name)
            except BaseException:
                os.close(self._master)
                raise
            self.port = str(self._link)

    def now(self) -> float:
        """Return the device's time."""
        return (self._clock() - self._begin_s) * self._speed

    def serve(self) -> str:
        """Serve until the end and say why it came: ``recording over``, ``unplugged`` or ``stopped``."""
        while not self._stop.is_set():
            self._watch_host()
            if not self._opened:
                self._stop.wait(_POLL_S)
                if self._ever_opened:
                    self._emulator.bytes_to_send(self.now())  # to nobody
            else:
                self._carry()
            if self._emulator.ended:
                self._drain()
                return "recording over" if getattr(self._emulator, "recording_over", False) else "unplugged"
        return "stopped"

    def stop(self) -> None:
        """Let ``serve`` return; may be called from a signal handler or another thread."""
        self._stop.set()

    def close(self) -> None:
        """Hang up and remove the link; may be called twice."""
        if self._link is not None and self._link.is_symlink():
            self._link.unlink()
        self._link = None
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- carrying bytes --------------------------------------------------------------------------------

    def _events(self, timeout_s: float = 0.0) -> int:
        found = self._poll.poll(timeout_s * 1000.0)
        return found[0][1] if found else 0

    def _watch_host(self) -> None:
        opened = not self._events() & select.POLLHUP
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
        if self._events(min(max(wait_s, 0.001), _POLL_S)) & select.POLLIN:
            try:
                self._emulator.receive(os.read(self._master, _CHUNK), self.now())
            except (BlockingIOError, OSError) as error:
                if error.errno not in (errno.EIO, errno.EAGAIN):
                    raise

    def _write(self) -> None:
        try:
            while self._pending:
                self._pending = self._pending[os.write(self._master, self._pending) :]
        except BlockingIOError:
            now_s = self.now()
            if self._stuck_since_s is None:
                self._stuck_since_s = now_s
            elif now_s - self._stuck_since_s > _STUCK_S:
                self._emulator.link_lost()
                self._pending = b""
            return
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self._pending = b""
        self._stuck_since_s = None

    def _drain(self) -> None:
        """Give the host the time to read what it was sent before the port disappears."""
        end_s = self._clock() + _DRAIN_S
        while self._opened and self._clock() < end_s and not self._stop.wait(_POLL_S):
            self._write()
            if not self._pending and not _unread(self.port):
                return
            self._watch_host()


def _unread(port: str) -> int:
    """Return how many bytes wait in the port for its reader."""
    import array
    import fcntl
    import termios

    try:
        fd = os.open(port, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
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
