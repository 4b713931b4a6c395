"""What the virtual boards that send at a pace of their own have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from ..stream import FloatArray
from .base import Unit, joined
from .pace import Pace


class PacedEmulator(ABC):
    """A virtual board that samples at its :class:`Pace`; the base of those over a byte stream.

    A subclass adds what it writes to ``_out``, and hears the host (``receive``, ``link_lost``). It may put
    another pace in the place of ``_pace`` when it starts.

    Parameters
    ----------
    pace:
        When its samples are due, and what they are.
    already_streaming:
        Whether it samples from when it is first asked what it has sent, without a command.

    """

    def __init__(self, pace: Pace, *, already_streaming: bool) -> None:
        self._pace = pace
        self._autostart = already_streaming
        self._out: list[Unit] = []

    # -- what a subclass gives -------------------------------------------------------------------------

    @abstractmethod
    def _start_unasked(self, now_s: float) -> None:
        """Begin to sample without having been told to."""

    @abstractmethod
    def _write(self, ecg_mv: FloatArray, first: int) -> None:
        """Write samples (n,), at least one, in millivolts; ``first`` is the first one's number."""

    # -- the emulator protocol -------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether it has hung up."""
        return self._pace.over and not self._out

    @property
    def recording_over(self) -> bool:
        """Whether its recording has come to the end."""
        return self._pace.over

    @property
    def streaming(self) -> bool:
        """Whether samples are being sent."""
        return self._pace.running

    @property
    def next_due_s(self) -> float | None:
        """When the next sample is due."""
        return -np.inf if self._out or self._autostart else self._pace.next_due_s

    def bytes_to_send(self, now_s: float) -> bytes:
        """Return what was sent up to now."""
        return joined(self.units(now_s))

    def units(self, now_s: float) -> list[Unit]:
        """Return what was sent up to now, packet by packet."""
        self._sample(now_s)
        out, self._out = self._out, []
        return out

    def _sample(self, now_s: float) -> None:
        """Take and write the samples that are due."""
        if self._autostart:
            self._autostart = False
            self._start_unasked(now_s)
        first = self._pace.made
        ecg_mv = self._pace.take(now_s)
        if len(ecg_mv):
            self._write(ecg_mv, first)
