"""Things that may hang on a port and are no ECG sensor."""

from __future__ import annotations

import numpy as np

from ..shimmer3 import dock
from .base import Unit, joined


class SilentEmulator:
    """Says nothing: a device that is off, or a dock's bootloader port."""

    ended = False
    next_due_s: float | None = None

    def receive(self, data: bytes, now_s: float) -> None:
        """Ignore it."""

    def bytes_to_send(self, now_s: float) -> bytes:
        """Return what it has sent up to now."""
        return joined(self.units(now_s))

    def units(self, now_s: float) -> list[Unit]:
        """Return nothing."""
        return []

    def link_lost(self) -> None:
        """Ignore it."""


class GarbageEmulator(SilentEmulator):
    """Sends random bytes: a wrong baud rate, or a device that edge-ecg does not know."""

    def __init__(self, *, bytes_per_s: float = 2000.0, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._rate = bytes_per_s
        self._since_s: float | None = None
        self._sent = 0

    def units(self, now_s: float) -> list[Unit]:
        """Return the garbage due by now."""
        if self._since_s is None:
            self._since_s = now_s
        due = int((now_s - self._since_s) * self._rate) - self._sent
        self._sent += due
        self.next_due_s = now_s + 0.01
        return [Unit(self._rng.integers(128, 256, due, dtype=np.uint8).tobytes())] if due else []


class DockEmulator(SilentEmulator):
    """A dock with a Shimmer in it: answers the dock's protocol and nothing else."""

    def __init__(self, *, firmware: tuple[int, int, int] = (0, 15, 4), hardware: int = 3) -> None:
        self._answer = dock.version_answer(hardware, 3, *firmware)
        self._seen = b""
        self._out = b""

    def receive(self, data: bytes, now_s: float) -> None:
        """Answer GET_VERSION."""
        self._seen = (self._seen + data)[-64:]
        if dock.GET_VERSION in self._seen:
            self._seen = b""
            self._out += self._answer
            self.next_due_s = now_s

    def units(self, now_s: float) -> list[Unit]:
        """Return the answer, once."""
        out, self._out, self.next_due_s = self._out, b"", None
        return [Unit(out)] if out else []
