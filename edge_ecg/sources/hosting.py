"""What serves a virtual device to other programs, on whatever kind of port."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

from edge_ecg_bridge.emulators import Emulator


class Host(ABC):
    """Serves one virtual device until it ends or is told to stop; closed at the end of a ``with``.

    Parameters
    ----------
    emulator:
        The device.
    on_change:
        Called with a word when something changes for the device.

    Attributes
    ----------
    port:
        What to open.

    """

    port: str

    def __init__(self, emulator: Emulator, on_change: Callable[[str], None]) -> None:
        self._emulator = emulator
        self._on_change = on_change
        self._stop = threading.Event()

    @abstractmethod
    def serve(self) -> str:
        """Serve until the end and say why it came: ``recording over``, ``unplugged`` or ``stopped``."""

    @abstractmethod
    def close(self) -> None:
        """Hang up and give the port back; may be called twice."""

    def stop(self) -> None:
        """Let ``serve`` return; may be called from a signal handler or another thread."""
        self._stop.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _why_ended(self) -> str:
        """Return why the device has hung up."""
        return "recording over" if getattr(self._emulator, "recording_over", False) else "unplugged"
