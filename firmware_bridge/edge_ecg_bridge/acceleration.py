"""The latest reading of an accelerometer at each ECG sample, where both carry the device's time."""

from __future__ import annotations

import numpy as np

from .stream import FloatArray

# Readings older than this say nothing of the present.
_STALE_S = 2.0
_KEPT_S = 10.0


class AccelerationTrack:
    """Keeps the last readings of one accelerometer.

    Attributes
    ----------
    frames_late:
        Frames that were older than what is there already.

    """

    def __init__(self) -> None:
        self.frames_late = 0
        self._times_s: FloatArray = np.zeros(0)
        self._values_g: FloatArray = np.zeros((0, 3))

    def add(self, times_s: FloatArray, values_g: FloatArray) -> None:
        """Add (n, 3) readings at (n,) rising device seconds."""
        if len(self._times_s):
            last_s = self._times_s[-1]
            if abs(times_s[-1] - last_s) > _KEPT_S:  # the device's clock was set, or a long loss
                self._times_s, self._values_g = self._times_s[:0], self._values_g[:0]
            elif times_s[-1] <= last_s:
                self.frames_late += 1
                return
            else:
                new = times_s > last_s
                times_s, values_g = times_s[new], values_g[new]
        kept = self._times_s > times_s[-1] - _KEPT_S
        self._times_s = np.concatenate([self._times_s[kept], times_s])
        self._values_g = np.concatenate([self._values_g[kept], values_g])

    def at(self, times_s: FloatArray) -> FloatArray:
        """Return the (n, 3) latest readings at (n,) device seconds; NaN where there is none or an old one."""
        found = np.full((len(times_s), 3), np.nan)
        index = np.searchsorted(self._times_s, times_s, side="right") - 1
        known = index >= 0
        known[known] = times_s[known] - self._times_s[index[known]] <= _STALE_S
        found[known] = self._values_g[index[known]]
        return found
