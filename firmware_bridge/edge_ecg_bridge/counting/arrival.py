"""A board's real rate, and how far it must have come, from when its samples arrive.

A delay on the way is only ever positive, so the least delay of every second is near the truth and the others
are not: both estimates rest on those minima (lower envelope), not on means.
"""

from __future__ import annotations

import numpy as np

from ..stream import FloatArray

SETTLE_S = 2.0  # what waited in buffers when the port was opened
FINE_S = 60.0
_SLOPE_S = 10.0
_SPAN_S = 180
_RECENT_S = 8
# While the slope is not known, a board that is 3 % slow falls behind by 30 ms a second: over so many seconds
# that stays below what is taken for a pause.
_RECENT_UNSLOPED_S = 2
_MAX_RATE_ERROR = 0.05
_SAME_RATE = 2e-5


class ArrivalClock:
    """Follows sample numbers over the host's time.

    Parameters
    ----------
    fs_hz:
        Nominal sampling rate.

    """

    def __init__(self, fs_hz: float) -> None:
        self._fs_hz = fs_hz
        self._first_s: float | None = None
        self._second = -1
        self._at_s: list[float] = []
        self._delay_s: list[float] = []
        self._slope = 0.0
        self._span_s = 0.0

    def observe(self, number: int, at_s: float) -> None:
        """Take the number of the newest sample at the time when it arrived."""
        if self._first_s is None:
            self._first_s = at_s
        delay_s = at_s - number / self._fs_hz
        second = int(at_s - self._first_s)
        if second == self._second:
            if delay_s < self._delay_s[-1]:
                self._at_s[-1], self._delay_s[-1] = at_s, delay_s
            return
        self._fit()
        self._second = second
        self._at_s = [*self._at_s, at_s][-_SPAN_S:]
        self._delay_s = [*self._delay_s, delay_s][-_SPAN_S:]

    def _fit(self) -> None:
        """Fit the minima of whole seconds; the first two do not count."""
        assert self._first_s is not None
        at_s, delay_s = np.array(self._at_s), np.array(self._delay_s)
        usable = at_s - self._first_s >= SETTLE_S
        at_s, delay_s = at_s[usable], delay_s[usable]
        self._span_s = float(at_s[-1] - at_s[0]) if len(at_s) else 0.0
        if self._span_s >= _SLOPE_S:
            centred = at_s - at_s.mean()
            self._slope = float(centred @ (delay_s - delay_s.mean()) / (centred @ centred))

    def newest(self, at_s: float) -> float:
        """Return the number of the newest sample that can have been made by then; -inf before the first."""
        if not self._at_s:
            return -np.inf
        seconds = _RECENT_S if self._span_s >= _SLOPE_S else _RECENT_UNSLOPED_S
        recent = zip(self._at_s[-seconds:], self._delay_s[-seconds:], strict=True)
        floor_s = min(delay_s - self._slope * at for at, delay_s in recent)
        return (at_s - floor_s - self._slope * at_s) * self._fs_hz

    @property
    def rate_hz(self) -> float:
        """The real rate from 60 s of arrivals on; the nominal one before, or when the estimate is absurd."""
        if self._span_s < FINE_S or abs(self._slope) > _MAX_RATE_ERROR:
            return self._fs_hz
        return self._fs_hz * (1.0 - self._slope)


class TimeLine:
    """Device time of samples whose rate becomes known better as they come: strictly rising, without steps."""

    def __init__(self, fs_hz: float) -> None:
        self._rate_hz = fs_hz
        self._number = 0
        self._time_s = 0.0

    def times(self, first: int, n: int, rate_hz: float) -> FloatArray:
        """Return the times (n,) of ``first`` and on, in seconds from sample 0; the rate holds from here."""
        if abs(rate_hz / self._rate_hz - 1.0) > _SAME_RATE:
            self._time_s += (first - self._number) / self._rate_hz
            self._number, self._rate_hz = first, rate_hz
        times: FloatArray = self._time_s + (first - self._number + np.arange(n)) / self._rate_hz
        return times
