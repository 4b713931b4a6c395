"""Two clocks, one line: when, by the host's clock, a device's sample was taken, and how fast the device is.

Bytes arrive late, never early, and late by a different time each: the least late ones tell the truth. The
line host = a + b * device is laid under all points (device time, arrival) of the last minutes so that none
lies below it and the sum of their distances is least. That is the edge of their lower convex hull below their
mean (Moon, Skelly and Towsley, "Estimation and removal of clock skew from network delay measurements", IEEE
INFOCOM 1999).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

WINDOW_S = 120.0
MIN_SPAN_S = 30.0
RATE_SPAN_S = 60.0
"""Seconds over which a rate must have been counted before it is told."""

# What waited in buffers before the host listened comes at once and would look like a fast device.
SETTLE_S = 2.0
_BUCKET_S = 0.5
# A device whose clock is wrong by more than this is no clock; its line is not used.
_MAX_SKEW = 0.1
_RESTART_S = 1.0


class _Point(NamedTuple):
    device_s: float
    host_s: float


class HostClock:
    """Maps device time to the host's clock by what arrived, block by block.

    Parameters
    ----------
    window_s:
        Device time over which the line is fitted.

    Notes
    -----
    Holds one point for each half second of device time, the least late: 240 at most. Until it has seen
    ``MIN_SPAN_S`` the slope is taken for 1.

    """

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._points: deque[_Point] = deque()
        self._bucket: int | None = None
        self._begin_s: float | None = None
        self._end_s = -math.inf
        self._line: tuple[float, float] | None = None
        self._credible = True

    def observe(self, device_s: float, arrived_s: float) -> None:
        """Take one block: device time just after its last sample, and when that arrived.

        A step back, or one of more than a second, begins anew: across an interruption the two clocks need not
        have kept step.
        """
        if not self._end_s <= device_s <= self._end_s + _RESTART_S:
            self.restart()
            self._begin_s = device_s
        self._end_s = device_s
        if self._begin_s is not None and device_s - self._begin_s > SETTLE_S:
            self._points.clear()  # settled: what came until now served only for want of better
            self._bucket = self._begin_s = None
        point, bucket = _Point(device_s, arrived_s), math.floor(device_s / _BUCKET_S)
        if bucket != self._bucket:
            self._points.append(point)
            self._bucket = bucket
        elif arrived_s - device_s < self._points[-1].host_s - self._points[-1].device_s:
            self._points[-1] = point
        while self._points[0].device_s < device_s - self._window_s:
            self._points.popleft()
        self._line = None

    def restart(self) -> None:
        """Forget what was seen."""
        self._points.clear()
        self._bucket = self._begin_s = self._line = None
        self._end_s = -math.inf

    @property
    def span_s(self) -> float:
        """Device time between the first and the last point in use."""
        return self._points[-1].device_s - self._points[0].device_s if self._points else 0.0

    @property
    def slope(self) -> float | None:
        """Host seconds per device second; None before ``MIN_SPAN_S`` or beyond a tenth from 1."""
        if self.span_s < MIN_SPAN_S:
            return None
        slope = self._fit()[1]
        return slope if self._credible else None

    def host_s(self, device_s: float) -> float | None:
        """Return the host's clock at a device time; None before anything was seen."""
        if not self._points:
            return None
        a, b = self._fit()
        return a + b * device_s

    def rate_hz(self, nominal_hz: float) -> float | None:
        """Return the real rate of a device that counts at ``nominal_hz``; None before ``RATE_SPAN_S``."""
        slope = self.slope
        return None if slope is None or self.span_s < RATE_SPAN_S else nominal_hz / slope

    def _fit(self) -> tuple[float, float]:
        if self._line is None:
            self._line = lower_line(self._points, sloping=self.span_s >= MIN_SPAN_S)
            self._credible = abs(self._line[1] - 1.0) <= _MAX_SKEW
            if not self._credible:  # a recording that is played faster, say
                last = self._points[-1]
                self._line = last.host_s - last.device_s, 1.0
        return self._line


def lower_line(points: Sequence[tuple[float, float]], *, sloping: bool = True) -> tuple[float, float]:
    """Return (a, b) of the line host = a + b * device under all points, nearest to them on the whole.

    Points are (device, host) in order of device time, at least one. Without ``sloping`` b is 1.
    """
    origin = _Point(*points[0])
    hull: list[tuple[float, float]] = []
    # In (device, delay): with slopes near 1 taken away no digit is lost after hours.
    for device_s, host_s in points:
        x, y = device_s - origin.device_s, (host_s - origin.host_s) - (device_s - origin.device_s)
        while len(hull) >= 2 and _turns_down(hull[-2], hull[-1], (x, y)):
            hull.pop()
        hull.append((x, y))
    least = min(y for _, y in hull)
    a, b = least, 0.0
    if sloping and len(hull) > 1:
        mean = sum(device_s - origin.device_s for device_s, _ in points) / len(points)
        after = next((i for i in range(1, len(hull)) if hull[i][0] >= mean), len(hull) - 1)
        (x0, y0), (x1, y1) = hull[after - 1], hull[after]
        b = (y1 - y0) / (x1 - x0)
        a = y0 - b * x0
    return origin.host_s + a - (1.0 + b) * origin.device_s, 1.0 + b


def _turns_down(p: tuple[float, float], q: tuple[float, float], r: tuple[float, float]) -> bool:
    """Whether ``q`` lies on or above the line from ``p`` to ``r``."""
    return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]) <= 0.0
