"""Where each frame belongs: what was lost before it, and when its last sample was taken.

The number counts samples and wraps after 2^32 of them (194 days at 256 Hz), the time after 71.6 minutes. A
frame is taken when both have gone forward by the same amount, within what a clock may be wrong by; that also
stops nearly all of the damage that a 16-bit CRC lets through (one in 65536). A frame that lies behind is
refused, never unwrapped. The first frame of a run, and one after a long gap or with a clock that was set,
must be borne out by the next before both are taken.
"""

from __future__ import annotations

from typing import NamedTuple

from .packets import DataFrame

_TURN = 1 << 32
_HALF = _TURN // 2
_LONG_GAP_US = 10e6
_SLACK_US = 50_000.0
_SLACK = 0.1


class Placed(NamedTuple):
    """A frame in its place.

    Attributes
    ----------
    frame, samples:
        The frame and how many samples it holds.
    lost:
        Samples lost immediately before it.
    end:
        Number just after its last sample, counting from 0 at the run's first sample, never wrapping.
    last_s:
        Device time of its last sample, 0 at the run's first sample.

    """

    frame: DataFrame
    samples: int
    lost: int
    end: int
    last_s: float

    @property
    def first(self) -> int:
        """Number of its first sample."""
        return self.end - self.samples


class Order:
    """Puts the frames of one run into their places.

    Attributes
    ----------
    behind:
        Frames that came twice, too late, or with a number before the last one.
    refused:
        Frames whose number and time contradict each other or were borne out by no other.

    """

    def __init__(self, fs_hz: float) -> None:
        self.behind = 0
        self.refused = 0
        self._us_per_sample = 1e6 / fs_hz
        self._last: Placed | None = None
        self._doubtful: tuple[DataFrame, int] | None = None

    def take(self, frame: DataFrame, samples: int) -> list[Placed]:
        """Return the frames that have found their places by now."""
        last = self._last
        if last is not None:
            lost = _forward(last.frame, last.samples, frame)
            if lost is None:
                self.behind += 1
                return []
            step_us = self._step_us(last.frame, frame, lost, samples)
            if step_us is not None and lost * self._us_per_sample <= _LONG_GAP_US:
                self._drop_doubtful()
                return [self._place(frame, samples, lost, step_us)]
        if self._doubtful is not None:
            before, held = self._doubtful
            lost = _forward(before, held, frame)
            step_us = None if lost is None else self._step_us(before, frame, lost, samples)
            if lost is not None and step_us is not None and lost * self._us_per_sample <= _LONG_GAP_US:
                self._doubtful = None
                return [self._place_doubtful(before, held), self._place(frame, samples, lost, step_us)]
        self._drop_doubtful()
        self._doubtful = frame, samples
        return []

    def _drop_doubtful(self) -> None:
        self.refused += self._doubtful is not None
        self._doubtful = None

    def _step_us(self, before: DataFrame, after: DataFrame, lost: int, samples: int) -> float | None:
        """Device time from the end of one frame to that of another; None when it contradicts the number."""
        expected = (lost + samples) * self._us_per_sample
        step = (after.time_us - before.time_us) % _TURN
        # The number says how often the time has wrapped.
        deviation = (step - expected + _HALF) % _TURN - _HALF
        if abs(deviation) > _SLACK_US + _SLACK * expected or expected + deviation <= 0:
            return None
        return expected + deviation

    def _place_doubtful(self, frame: DataFrame, samples: int) -> Placed:
        last = self._last
        if last is None:
            return self._place(frame, samples, 0, 0.0)
        lost = _forward(last.frame, last.samples, frame) or 0
        step_us = self._step_us(last.frame, frame, lost, samples)
        if step_us is None:  # its clock was set; the next frame bore the number out
            step_us = (lost + samples) * self._us_per_sample
        return self._place(frame, samples, lost, step_us)

    def _place(self, frame: DataFrame, samples: int, lost: int, step_us: float) -> Placed:
        last = self._last
        if last is None:
            placed = Placed(frame, samples, 0, samples, (samples - 1) * self._us_per_sample / 1e6)
        else:
            end = last.end + lost + samples
            placed = Placed(frame, samples, lost, end, last.last_s + step_us / 1e6)
        self._last = placed
        return placed


def _forward(before: DataFrame, held: int, after: DataFrame) -> int | None:
    """Samples lost behind a frame that holds ``held``, before another; None when that one lies behind."""
    lost = (after.first - before.first - held) % _TURN
    return lost if lost < _HALF else None
