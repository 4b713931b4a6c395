"""Times of samples from coarse stamps: a straight line through the stamps of the last seconds."""

from __future__ import annotations

from collections import deque

import numpy as np

from .stream import FloatArray

_WINDOW_S = 10.0
_ENOUGH_S = 2.0


class StampFit:
    """Fits device time against sample number by least squares over 10 s.

    Parameters
    ----------
    nominal_hz:
        The rate to believe in until two seconds have been seen.

    """

    def __init__(self, nominal_hz: float) -> None:
        self._nominal_hz = nominal_hz
        self._points: deque[tuple[int, float]] = deque()
        self._last_s = -np.inf

    def add(self, number: int, stamp_s: float) -> None:
        """Take the stamp of a sample; numbers and stamps rise."""
        self._points.append((number, stamp_s))
        while stamp_s - self._points[0][1] > _WINDOW_S:
            self._points.popleft()

    def times_s(self, first: int, n: int) -> FloatArray:
        """Return the (n,) times of samples ``first``, ``first + 1``, …; later than all before, and rising."""
        numbers, stamps_s = np.array(self._points, dtype=np.float64).T
        x, y = numbers - numbers.mean(), stamps_s - stamps_s.mean()
        slope_s = 1.0 / self._nominal_hz
        if stamps_s[-1] - stamps_s[0] >= _ENOUGH_S:
            slope_s = float(x @ y / (x @ x))
        times_s: FloatArray = stamps_s.mean() + slope_s * (first + np.arange(n) - numbers.mean())
        if times_s[0] <= self._last_s:  # the line has moved: close up to what was given out
            begin_s = self._last_s + 0.25 * slope_s
            times_s = np.linspace(begin_s, max(times_s[-1], begin_s + n * 0.25 * slope_s), n)
        self._last_s = float(times_s[-1])
        return times_s
