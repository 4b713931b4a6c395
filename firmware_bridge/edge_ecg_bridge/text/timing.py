"""The rate of a board and the losses on the way, by its own clock or by counting."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..stream import DeviceClock, FloatArray
from .lines import Line

USUAL_RATES_HZ = (100, 125, 128, 200, 250, 256, 300, 360, 400, 500, 512, 1000, 1024, 2000)
NEAR = 0.015
_STAMP_TURN = 1 << 32
_RESTART_S = 1.0
# Of two lines that bear each other out, so many may be missing between: more is likelier to be damage.
_NEAR_LOSS = 8
# What radios and buffers may hold back, and so by how much a board's clock may seem to run ahead of the host.
_BACKLOG_S = 10.0
_MICROS_STEP = 100.0  # a step of 100 or more is no millisecond count at 100 Hz and above


class BoardClock:
    """Follows a board's time column: counts lost samples, survives the wrap, refuses steps back.

    A line that comes one interval after the last is believed at once. One that jumps ahead is believed when
    the next line lies shortly after it: neither a damaged digit nor two different ones in a row must move
    time. One that steps back, or further ahead than the host's clock allows, is refused; when the board goes
    on for a second from there it has restarted, and its pause is taken from the host.

    Attributes
    ----------
    rejected, duplicates:
        Lines refused for their time, and those of them that were not younger than the last.

    """

    def __init__(self, fs_hz: float, tick_s: float) -> None:
        self.rejected = 0
        self.duplicates = 0
        self._period = 1.0 / fs_hz
        self._tick_s = tick_s
        self._last: float | None = None
        self._late_s = 0.0
        self._held: Line | None = None
        self._back: list[float] = []
        self._good_s = 0.0

    def device_clock(self, number: int) -> DeviceClock | None:
        """Return what the column showed at sample 0, when the last line believed is sample ``number``.

        Reckoned back from there by the nominal rate, as whoever asks reckons forward by it again: what that
        rate is wrong by does not add up.
        """
        if self._last is None:
            return None
        return DeviceClock(self._last * self._tick_s - number * self._period, _STAMP_TURN * self._tick_s)

    def take(self, line: Line, now_s: float) -> list[tuple[int, Line]]:
        """Take the next line; return those believed by now, each with the samples missing before it."""
        believed = self._judge(line, now_s)
        if believed:
            self._good_s = now_s
            self._back.clear()
        return believed

    def _judge(self, line: Line, now_s: float) -> list[tuple[int, Line]]:
        if line.stamp is None:
            if not line.lead_off:  # a line that lost its first column
                self.rejected += 1
                return []
            if self._last is not None:
                self._last += self._period / self._tick_s
            return [(0, line)]
        if self._last is None:
            self._last = line.stamp
            return [(0, line)]
        lost = self._lost(self._last, line.stamp, self._late_s)
        if lost is None or lost * self._period > now_s - self._good_s + _BACKLOG_S:
            return self._elsewhere(line, now_s, behind=lost is None)
        if lost == 0:
            held, self._held = self._held, None
            believed = [self._accept(line)]
            if held is not None and held.stamp is not None:
                if self._lost(line.stamp, held.stamp, self._late_s) == 0:  # the two had changed places
                    believed.append(self._accept(held))
                else:
                    self.rejected += 1
            return believed
        held, self._held = self._held, line
        if held is None:
            return []
        assert held.stamp is not None
        lost = self._lost(held.stamp, line.stamp, 0.0)
        if lost is None or lost > _NEAR_LOSS:
            self.rejected += 1
            return []
        self._held = None
        return [self._accept(held), *self._judge(line, now_s)]

    def _accept(self, line: Line) -> tuple[int, Line]:
        assert self._last is not None
        assert line.stamp is not None
        lost = self._lost(self._last, line.stamp, self._late_s) or 0
        late_s = self._late_s + self._step(self._last, line.stamp) * self._tick_s - self._period
        self._late_s = 0.9 * (late_s - lost * self._period)  # let the estimate of the rate be a little wrong
        self._last = line.stamp
        return lost, line

    def _elsewhere(self, line: Line, now_s: float, *, behind: bool) -> list[tuple[int, Line]]:
        """Wait whether the board goes on from where it cannot be by the last line."""
        assert line.stamp is not None
        if self._back and self._lost(self._back[-1], line.stamp, 0.0) is None:
            self._back.clear()
        self._back.append(line.stamp)
        if len(self._back) * self._period < _RESTART_S:
            self.rejected += 1
            self.duplicates += behind
            return []
        self._last, self._late_s, self._held = line.stamp, 0.0, None
        return [(max(round((now_s - self._good_s) / self._period) - 1, len(self._back) - 1), line)]

    @staticmethod
    def _step(before: float, after: float) -> float:
        """Ticks from one stamp to the next across the wrap."""
        step = after - before
        return step + _STAMP_TURN if step < -_STAMP_TURN / 2 else step

    def _lost(self, before: float, after: float, late_s: float) -> int | None:
        """Return how many samples lie between two stamps; None when the second is not after the first."""
        step = self._step(before, after)
        if step < 0 or step > _STAMP_TURN / 2:
            return None
        late_s += step * self._tick_s - self._period
        if late_s < -max(0.75 * self._period, 1.5 * self._tick_s):
            return None  # a line that came twice
        return round(late_s / self._period) if late_s > max(0.6 * self._period, 1.5 * self._tick_s) else 0


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
    return float(usual) if abs(usual - fs_hz) <= NEAR * fs_hz else fs_hz
