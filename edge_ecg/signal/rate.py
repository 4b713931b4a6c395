"""How many samples a device really takes in a second, and when that is worth a word.

Devices that stamp their samples count by their own clock; the rest are counted over a minute and more of the
host's (:mod:`edge_ecg.signal.clock`). A rate that a board was given, or that was counted in a few seconds, is
good to a per cent; when a minute says otherwise, somebody should know: the heart rate is wrong by as much.
"""

from __future__ import annotations

from ..samples import SampleBlock
from .clock import HostClock

DOUBT = 0.01
"""Share by which a rate may be off before it is told."""

_LOOK_EVERY_S = 10.0
_SPAN_S = 10.0


class RateWatch:
    """Watches one stream against a host clock that sees the same blocks.

    Parameters
    ----------
    fs_hz:
        The rate that the device is taken to have.

    """

    def __init__(self, fs_hz: float, clock: HostClock) -> None:
        self._fs_hz = fs_hz
        self._clock = clock
        self._first: tuple[int, float] | None = None
        self._per_device_s: float | None = fs_hz
        self._told = False
        self._look_at_s = 0.0

    @property
    def measured_hz(self) -> float | None:
        """Samples in a second of the host's clock; None before a minute of them was counted."""
        seconds = self._clock.rate_hz(1.0)
        return None if seconds is None or self._per_device_s is None else self._per_device_s * seconds

    def observe(self, block: SampleBlock) -> float | None:
        """Take the next block; return the measured rate, once, when the one it is taken for is wrong.

        A block with times of its own is never wrong: it is resampled at those times.
        """
        if block.time_s is not None:
            if self._first is None:
                self._first = block.first_sample, block.start_s
            span_s = block.last_s - self._first[1]
            samples = block.first_sample + len(block) - 1 - self._first[0]
            self._per_device_s = samples / span_s if span_s >= _SPAN_S else None
            return None
        if self._told or block.end_s < self._look_at_s:
            return None
        self._look_at_s = block.end_s + _LOOK_EVERY_S
        measured_hz = self.measured_hz
        if measured_hz is None or abs(measured_hz - self._fs_hz) <= DOUBT * self._fs_hz:
            return None
        self._told = True
        return measured_hz
