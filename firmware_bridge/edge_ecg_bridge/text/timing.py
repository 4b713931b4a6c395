"""The rate of a board and the losses on the way, by its own clock or by counting."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..stream import FloatArray

USUAL_RATES_HZ = (100, 125, 128, 200, 250, 256, 300, 360, 400, 500, 512, 1000, 1024, 2000)
_NEAR = 0.015
_STAMP_TURN = 1 << 32
_MICROS_STEP = 100.0  # a step of 100 or more is no millisecond count at 100 Hz and above


class BoardClock:
    """Follows a board's time column: counts lost samples, survives the wrap, refuses steps back."""

    def __init__(self, fs_hz: float, tick_s: float) -> None:
        self._period = 1.0 / fs_hz
        self._tick_s = tick_s
        self._last: float | None = None
        self._late_s = 0.0

    def lost_before(self, stamp: float) -> int | None:
        """Return how many samples are missing before this one; None when its time lies not after the last."""
        if self._last is None:
            self._last = stamp
            return 0
        step = stamp - self._last
        if step < -_STAMP_TURN / 2:
            step += _STAMP_TURN
        if step < 0 or step > _STAMP_TURN / 2:
            return None
        late_s = self._late_s + step * self._tick_s - self._period
        if late_s < -max(0.75 * self._period, 1.5 * self._tick_s):
            return None  # a line that came twice
        self._last = stamp
        lost = 0
        if late_s > max(0.6 * self._period, 1.5 * self._tick_s):
            lost = round(late_s / self._period)
            late_s -= lost * self._period
        self._late_s = 0.9 * late_s  # let the estimate of the rate be a little wrong
        return lost


def tick_of(stamps: FloatArray) -> float:
    """Return the unit of a time column in seconds: a thousandth, or a millionth where the steps are large."""
    if len(stamps) < 2:
        return 1e-3
    return 1e-6 if float(np.median(np.diff(stamps))) >= _MICROS_STEP else 1e-3


def rate_of(stamps: FloatArray, tick_s: float) -> float:
    """Return the sampling rate by the board's clock; steps across losses are left out."""
    steps = np.diff(stamps)
    steps = steps[steps > 0]
    if not len(steps):
        return math.inf
    usual = steps[steps <= np.median(steps) * 1.6 + 1.0]
    return 1.0 / (float(np.mean(usual)) * tick_s)


def counted_rate(arrivals_s: Sequence[float]) -> float:
    """Return lines a second, from when each arrived: one that came with the first came before the count."""
    first, last = arrivals_s[0], arrivals_s[-1]
    fs_hz = sum(at > first for at in arrivals_s) / (last - first)
    usual = min(USUAL_RATES_HZ, key=lambda rate: abs(rate - fs_hz))
    return float(usual) if abs(usual - fs_hz) <= _NEAR * fs_hz else fs_hz
