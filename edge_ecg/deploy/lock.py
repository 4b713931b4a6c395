"""One change at a time: a lock that the system takes back when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ..errors import DataError
from .layout import Home

_POLL_S = 0.05


class HomeLock:
    """The lock of a home, as a context manager; it may be entered again by whoever has it.

    Parameters
    ----------
    home:
        What is to be changed.
    wait_s:
        How long to wait for another holder.
    clock, sleep:
        Seconds that never go back, and waiting.

    """

    def __init__(
        self,
        home: Home,
        *,
        wait_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._home = home
        self._doing = ""
        self._wait_s = wait_s
        self._clock = clock
        self._sleep = sleep
        self._file: int | None = None
        self._depth = 0

    def to(self, doing: str) -> Self:
        """Say what it is taken for, as others who want it too are told; returns itself."""
        if self._depth == 0:
            self._doing = doing
        return self

    def __enter__(self) -> Self:
        """Take the lock.

        Raises
        ------
        DataError
            When another holds it for longer than ``wait_s``, or the folder cannot be written to.

        """
        if self._depth == 0:
            self._file = self._take()
        self._depth += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0 and self._file is not None:
            os.close(self._file)
            self._file = None

    def _take(self) -> int:
        path = self._home.lock
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataError(
                f"Nothing can be changed in {self._home.root}.",
                why=f"{error.strerror or error}.",
                remedy="Look whose folder it is (ls -ld) and whether its disk is read-only (findmnt -T).",
            ) from error
        until = self._clock() + self._wait_s
        while True:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._clock() >= until:
                    holder = os.pread(number, 200, 0).decode(errors="replace").strip()
                    os.close(number)
                    raise DataError(
                        f"Another program is changing {self._home.root}; nothing was done.",
                        why=f"The lock is held by {holder or 'a program that does not say its name'}.",
                        remedy="Wait until it is done. The lock goes when its holder ends; do not delete it.",
                    ) from None
                try:
                    self._sleep(_POLL_S)
                except BaseException:
                    os.close(number)
                    raise
                continue
            except OSError as error:
                os.close(number)
                raise DataError(
                    f"The lock {path} cannot be had; nothing was done.",
                    why=f"{error.strerror or error}.",
                    remedy="Its file system must know locks (flock): an NFS share may not. "
                    "EDGE_ECG_HOME names another folder.",
                ) from error
            self._sign(number)
            return number

    def _sign(self, number: int) -> None:
        # Only for the message above: a full disk must not keep anybody from going back.
        try:
            os.ftruncate(number, 0)
            os.pwrite(number, f"process {os.getpid()} ({self._doing})\n".encode(), 0)
        except OSError:
            pass
