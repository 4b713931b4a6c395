"""When each sample of an LSL stream was taken, and which are missing, by its time stamps alone.

Stamps jitter: many programs stamp a chunk when it happens to come. The samples themselves come at an even
pace, so a line is fitted through the stamps as they arrive (the expanding-memory least-squares filter, which
from ``MEMORY_S`` on forgets: Brookner, "Tracking and Kalman Filtering Made Easy", 1998, chapter 1), and
a sample's time is where the line passes it.

A stamp far above the line is a loss or a delay; which, the next ones tell: a delay is made good, a loss
stays. So samples are held for a quarter of a second in such a case, and only then.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from edge_ecg_bridge.stream import FloatArray

from .lsl_rate import NEAR

MEMORY_S = 20.0
HOLD_S = 0.25
# A program that stood still longer than this and then makes it good is told as a loss.
MAX_HOLD_S = 5.0
# Samples sent twice are known by stamp and value among those of so many seconds.
_REMEMBERED_S = 5.0
# More device time than host time can have passed between two samples only by so much of buffering.
_BUFFERED_S = 10.0
_SIGMAS = 6.0
_SIGMA_MEMORY_S = 5.0
# The rate may wander so far from where it was at the start.
_MAX_DRIFT = 0.05
_LEAST_SAMPLES = 64


@dataclass(slots=True)
class StampedRun:
    """Consecutive samples; numbers and gap as in :class:`edge_ecg_bridge.stream.Samples`."""

    first: int
    gap_before: int
    values: list[float] = field(default_factory=list)
    time_s: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Held:
    """Samples whose stamps do not fit, until it is known why."""

    stamps: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    began_s: float = 0.0


class StampTracker:
    """Places the samples of one stream in time.

    Parameters
    ----------
    period_s:
        Seconds between samples, as measured.
    scatter_s:
        How far stamps lie from an even pace (rms).
    first_stamp_s:
        Stamp of the first sample that will be fed.
    measured_over:
        Samples over which ``period_s`` was measured.

    Attributes
    ----------
    counters:
        ``duplicates`` (sent twice), ``out_of_order`` (came when their place was counted as lost already),
        ``not_a_number``, ``clock_steps`` (the sender's clock was set), ``late_stamps`` (late, and made good:
        nothing was lost).

    """

    def __init__(self, period_s: float, scatter_s: float, first_stamp_s: float, measured_over: int) -> None:
        self.counters = dict.fromkeys(
            ("duplicates", "out_of_order", "not_a_number", "clock_steps", "late_stamps"), 0
        )
        self._period_s = self._start_period_s = period_s
        self._variance = scatter_s**2
        self._count = max(measured_over, _LEAST_SAMPLES)
        self._memory = max(round(MEMORY_S / period_s), self._count)
        self._hold = max(round(HOLD_S / period_s), 8)
        # The line's time of the last sample, on the stamps' clock; one sample before the first one.
        self._at_s = self._origin_s = first_stamp_s - period_s
        self._begin_s = first_stamp_s
        self._shift_s = 0.0
        self._next = 0
        self._gap = 0
        self._highest_s = -np.inf
        # The host's clock when the last sample that fitted cannot have come earlier: at the call before.
        self._good_s: float | None = None
        self._fed_s: float | None = None
        self._recent: deque[tuple[float, float]] = deque(maxlen=max(round(_REMEMBERED_S / period_s), 8))
        self._held = _Held()
        self._runs: list[StampedRun] = []

    @property
    def rate_hz(self) -> float:
        """The rate as it is now."""
        return 1.0 / self._period_s

    def feed(self, stamps: FloatArray, values: FloatArray, now_s: float) -> list[StampedRun]:
        """Take samples in any pieces and return those that can be placed by now.

        Parameters
        ----------
        stamps:
            (n,) seconds of the sender's clock, corrected to any clock that does not jump.
        values:
            (n,), NaN where there is none.
        now_s:
            The host's clock; it tells a clock that was set from a loss.

        """
        if self._fed_s is None:
            self._fed_s = now_s
        for stamp, value in zip(stamps.tolist(), values.tolist(), strict=True):
            self._take(stamp, value, now_s)
        self._fed_s = now_s
        return self._runs_out()

    def flush(self, now_s: float) -> list[StampedRun]:
        """Place what is still held, as a loss; nothing will follow."""
        while self._held.stamps:
            if self._is_backward():
                self._drop_held()
            else:
                self._accept_loss(now_s)
        return self._runs_out()

    def _runs_out(self) -> list[StampedRun]:
        runs, self._runs = self._runs, []
        return [run for run in runs if run.values]

    # -- one sample ------------------------------------------------------------------------------------

    def _tolerance_s(self) -> float:
        return max(NEAR * self._period_s, _SIGMAS * math.sqrt(self._variance))

    def _take(self, stamp: float, value: float, now_s: float) -> None:
        at_s = stamp + self._shift_s
        residual = at_s - self._at_s - self._period_s
        tolerance_s = self._tolerance_s()
        if self._is_repeated(at_s, value, residual, tolerance_s):
            self.counters["duplicates"] += 1
        elif self._held.stamps:
            self._weigh(stamp, value, residual, now_s)
        elif abs(residual) <= tolerance_s or (residual < 0.0 and at_s > self._highest_s):
            # Early, but in order: the rate has changed.
            self._place(at_s, value, max(residual, -tolerance_s))
        else:
            self._held = _Held([stamp], [value], now_s)

    def _is_repeated(self, at_s: float, value: float, residual: float, tolerance_s: float) -> bool:
        if residual >= -tolerance_s or at_s > self._highest_s:
            return False
        near_s = 0.25 * self._period_s
        return any(value == other and abs(at_s - other_s) <= near_s for other_s, other in self._recent)

    def _place(self, at_s: float, value: float, residual: float | None) -> None:
        self._follow(residual)
        self._highest_s = max(self._highest_s, at_s)
        self._recent.append((at_s, value))
        self._good_s = self._fed_s
        self._emit(value)

    def _follow(self, residual: float | None) -> None:
        """Go one sample on; by the line alone where there is no stamp to learn from."""
        step_s = self._period_s
        if residual is not None:
            n = self._count = min(self._count + 1, self._memory)
            step_s += residual * 2.0 * (2.0 * n - 1.0) / (n * (n + 1.0))
            period_s = self._period_s + residual * 6.0 / (n * (n + 1.0))
            lowest, highest = ((1.0 + sign * _MAX_DRIFT) * self._start_period_s for sign in (-1.0, 1.0))
            self._period_s = min(max(period_s, lowest), highest)
            weight = min(1.0, self._period_s / _SIGMA_MEMORY_S)
            self._variance += weight * (residual**2 - self._variance)
        self._at_s += max(step_s, 0.1 * self._period_s)

    def _emit(self, value: float) -> None:
        if value != value:  # NaN: the sender's own word for a lost sample
            self.counters["not_a_number"] += 1
            self._next += 1
            self._gap += 1
            return
        if self._gap or not self._runs:
            self._runs.append(StampedRun(self._next, self._gap))
            self._gap = 0
        self._runs[-1].values.append(value)
        self._runs[-1].time_s.append(self._at_s - self._begin_s)
        self._next += 1

    # -- samples that do not fit -----------------------------------------------------------------------

    def _is_backward(self) -> bool:
        return self._held.stamps[0] + self._shift_s < self._at_s + self._period_s

    def _weigh(self, stamp: float, value: float, residual: float, now_s: float) -> None:
        held, tolerance_s = self._held, self._tolerance_s()
        backward = self._is_backward()
        if backward and abs(residual) <= tolerance_s and stamp + self._shift_s > self._highest_s:
            self._drop_held()
            self._take(stamp, value, now_s)
            return
        held.stamps.append(stamp)
        held.values.append(value)
        count = len(held.stamps)
        if abs(residual - (count - 1) * self._period_s) <= tolerance_s:
            self._accept_delay()
        elif count >= self._hold:
            if backward:
                self._accept_clock_step(now_s)
            elif not self._declines(tolerance_s) or count * self._period_s >= MAX_HOLD_S:
                self._accept_loss(now_s)

    def _drop_held(self) -> None:
        self.counters["out_of_order"] += len(self._held.stamps)
        self._held = _Held()

    def _declines(self, tolerance_s: float) -> bool:
        """Whether what is held comes nearer to the line again, as after a delay."""
        late = np.asarray(self._held.stamps) - np.arange(len(self._held.stamps)) * self._period_s
        return bool(late.max() - late[-1] > tolerance_s)

    def _accept_delay(self) -> None:
        """Place what is held where the line says: in the order of its stamps, if they fit the line so."""
        held, self._held = self._held, _Held()
        stamps = np.asarray(held.stamps) + self._shift_s
        line = self._at_s + np.arange(1, len(stamps) + 1) * self._period_s
        order = np.argsort(stamps, kind="stable")
        # What jitters by more than a sample cannot be put in order by its stamps.
        if np.abs(stamps[order] - line).max() > NEAR * self._period_s:
            order = np.arange(len(stamps))
            self.counters["late_stamps"] += len(stamps) - 1
        for index in order.tolist():
            self._place(float(stamps[index]), held.values[index], None)

    def _accept_loss(self, now_s: float) -> None:
        held, tolerance_s = self._held, self._tolerance_s()
        late = np.asarray(held.stamps) + self._shift_s - self._at_s
        late -= np.arange(1, len(late) + 1) * self._period_s
        other = np.flatnonzero(np.abs(late - late[0]) > tolerance_s)
        plateau_s = float(np.median(late[: other[0]] if len(other) else late))
        passed_s = held.began_s - (self._good_s if self._good_s is not None else held.began_s)
        if plateau_s > passed_s + _BUFFERED_S:
            self._accept_clock_step(now_s)
            return
        self._skip(max(1, round(plateau_s / self._period_s)))
        self._replay(now_s)

    def _accept_clock_step(self, now_s: float) -> None:
        """Go on on a clock that was set; how long it took only the host's clock tells, and never 0."""
        held = self._held
        passed_s = held.began_s - (self._good_s if self._good_s is not None else held.began_s)
        self.counters["clock_steps"] += 1
        self._skip(max(1, round(passed_s / self._period_s) - 1))
        self._shift_s = self._at_s + self._period_s - held.stamps[0]
        self._highest_s = -np.inf
        self._replay(now_s)

    def _skip(self, lost: int) -> None:
        self._at_s += lost * self._period_s
        self._next += lost
        self._gap += lost

    def _replay(self, now_s: float) -> None:
        """Take what was held again, the first of it as fitting."""
        held, self._held = self._held, _Held()
        tolerance_s = self._tolerance_s()
        at_s = held.stamps[0] + self._shift_s
        residual = at_s - self._at_s - self._period_s
        self._place(at_s, held.values[0], min(max(residual, -tolerance_s), tolerance_s))
        for stamp, value in zip(held.stamps[1:], held.values[1:], strict=True):
            self._take(stamp, value, now_s)
