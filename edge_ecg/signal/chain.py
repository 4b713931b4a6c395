"""From blocks of device samples to windows for the model, the same way live and in training.

    samples -> 256 Hz -> 0.8 Hz high-pass -> (notch) -> windows of 2560, one per hop

The chain keeps two clocks apart: the device's samples, which count on through a gap, and the 256 Hz grid, on
which a tick ends at 10 s and every hop after. What it yields does not depend on how the samples were cut
into blocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..samples import FloatArray, SampleBlock
from .iir import Biquad, high_pass, notch
from .raw import clipped_fraction, still_fraction
from .resample import MODEL_FS_HZ, Resampler

WINDOW_SAMPLES = 2560
SETTLE_S = 1.0

_SETTLE_SAMPLES = round(SETTLE_S * MODEL_FS_HZ)
_Value = TypeVar("_Value", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Window:
    """One full window, with no gap inside.

    Attributes
    ----------
    start_s, end_s:
        Device time from the stream's first sample.
    ecg_mv:
        (2560,) float64 at 256 Hz, high-passed, and notched where that was asked for.
    lead_off, saturated:
        Fraction of the window's time in which an electrode was off, and in which the signal was cut off at a
        limit: the device's own flags, or, for ``saturated``, what the raw samples show without them.
    flat:
        Fraction of the window's time in which the raw signal stood still.

    """

    start_s: float
    end_s: float
    ecg_mv: FloatArray
    lead_off: float
    saturated: float
    flat: float


@dataclass(frozen=True, slots=True)
class Tick:
    """What is known at one moment of the grid: a window, or the reason why there is none.

    Attributes
    ----------
    start_s, end_s:
        The ten seconds it is about, in device time.
    window:
        None while the filters settle and where the ten seconds hold a gap.
    withheld:
        Why there is no window: ``("warming_up",)`` or ``("gap",)``; empty when there is one.
    lost_samples:
        Device samples lost within ``[start_s, end_s)``.
    arrived_s:
        ``arrived_s`` of the block that completed the tick.

    """

    start_s: float
    end_s: float
    window: Window | None
    withheld: tuple[str, ...]
    lost_samples: int
    arrived_s: float | None


class WindowChain:
    """Turn blocks into ticks, one per hop of device time.

    A gap ends what came before it: resampler and filters start anew at the first sample after it, the 256 Hz
    grid is taken up again at that sample's device time (rounded to the grid, so at most 2 ms off), and no
    window reaches into the second after it, in which the filters settle. Ticks that would end inside a gap
    are left out.

    Parameters
    ----------
    fs_hz:
        The device's sampling rate, 100 to 4000 Hz.
    hop_samples:
        Distance between ticks in samples of 256 Hz, at least 1.
    notch_hz:
        Mains frequency to remove, or None.

    Raises
    ------
    ValueError
        On a rate or hop out of range.

    """

    def __init__(self, fs_hz: float, *, hop_samples: int = 256, notch_hz: float | None = None) -> None:
        if hop_samples < 1:
            raise ValueError(f"a hop of {hop_samples} samples does not advance")
        self.fs_hz = fs_hz
        self.hop_samples = hop_samples
        self.notch_hz = notch_hz
        self._expected: int | None = None
        self._next_end = WINDOW_SAMPLES
        self._gaps: list[tuple[int, int]] = []
        self._interrupted = False
        self._ended = False
        self._arrived_s: float | None = None
        self._segment = self._new_segment(0)

    def push(self, block: SampleBlock) -> list[Tick]:
        """Take the next block and return the ticks that it completes.

        Raises
        ------
        ValueError
            When the block is of another rate, goes back in time, holds values that are not finite, or comes
            after :meth:`flush`.

        """
        self._check(block)
        if len(block) == 0:
            return []
        self._arrived_s = block.arrived_s
        ticks: list[Tick] = []
        lost = block.gap_before
        if self._expected is not None:
            lost = max(lost, block.first_sample - self._expected)
        if self._expected is None or lost:
            self._segment.flush()
            ticks = self._due()
            if lost:
                self._gaps.append((block.first_sample - lost, block.first_sample))
            self._interrupted = self._expected is not None
            self._segment = self._new_segment(round(block.first_sample * MODEL_FS_HZ / self.fs_hz))
        self._expected = block.first_sample + len(block)
        self._segment.process(block)
        return ticks + self._due()

    def flush(self) -> list[Tick]:
        """Return the ticks that were only waiting for the resampler's look-ahead; the stream has ended."""
        self._ended = True
        self._segment.flush()
        return self._due()

    def _check(self, block: SampleBlock) -> None:
        if self._ended:
            raise ValueError("the stream has ended: another one needs a chain of its own")
        if block.fs_hz != self.fs_hz:
            raise ValueError(f"a block of {block.fs_hz:g} Hz in a stream of {self.fs_hz:g} Hz")
        if self._expected is not None and block.first_sample < self._expected:
            raise ValueError(f"sample {block.first_sample} came after sample {self._expected - 1}")
        if not np.isfinite(block.ecg_mv).all():
            raise ValueError(f"samples from number {block.first_sample} on hold values that are not finite")

    def _new_segment(self, anchor: int) -> _Segment:
        return _Segment(self.fs_hz, anchor, self.notch_hz)

    def _due(self) -> list[Tick]:
        ticks = []
        segment = self._segment
        if self._next_end <= segment.anchor:
            missed = (segment.anchor - self._next_end) // self.hop_samples + 1
            self._next_end += missed * self.hop_samples
        while self._next_end <= segment.end:
            ticks.append(self._tick(self._next_end))
            self._next_end += self.hop_samples
        segment.forget_before(self._next_end - WINDOW_SAMPLES)
        return ticks

    def _tick(self, end: int) -> Tick:
        start = end - WINDOW_SAMPLES
        start_s, end_s = start / MODEL_FS_HZ, end / MODEL_FS_HZ
        window = None
        withheld: tuple[str, ...] = ()
        if start >= self._segment.anchor + _SETTLE_SAMPLES:
            window = self._segment.window(start, end)
        else:
            withheld = ("gap",) if self._interrupted else ("warming_up",)
        return Tick(start_s, end_s, window, withheld, self._lost(start_s, end_s), self._arrived_s)

    def _lost(self, start_s: float, end_s: float) -> int:
        first, last = math.ceil(start_s * self.fs_hz), math.ceil(end_s * self.fs_hz)
        self._gaps = [gap for gap in self._gaps if gap[1] > first]
        return sum(max(0, min(b, last) - max(a, first)) for a, b in self._gaps)


class _Segment:
    """The stream between two gaps: raw samples and flags, and the filtered signal on the grid."""

    def __init__(self, fs_hz: float, anchor: int, notch_hz: float | None) -> None:
        self.anchor = anchor
        self.end = anchor
        self._fs_hz = fs_hz
        self._resampler = Resampler(fs_hz)
        self._filters: list[Biquad] = [high_pass(MODEL_FS_HZ)]
        if notch_hz is not None:
            self._filters.append(notch(MODEL_FS_HZ, notch_hz))
        self._filtered: _Tail[np.float64] = _Tail(np.float64)
        self._raw: _Tail[np.float64] = _Tail(np.float64)
        self._lead_off: _Tail[np.bool_] = _Tail(np.bool_)
        self._saturated: _Tail[np.bool_] = _Tail(np.bool_)

    def process(self, block: SampleBlock) -> None:
        nothing = np.zeros(len(block), dtype=np.bool_)
        self._raw.append(block.ecg_mv)
        self._lead_off.append(nothing if block.lead_off is None else block.lead_off)
        self._saturated.append(nothing if block.saturated is None else block.saturated)
        self._filter(self._resampler.process(block.ecg_mv))

    def flush(self) -> None:
        self._filter(self._resampler.flush())

    def _filter(self, x: FloatArray) -> None:
        for stage in self._filters:
            x = stage.process(x)
        self._filtered.append(x)
        self.end += len(x)

    def window(self, start: int, end: int) -> Window:
        first, last = self._raw_index(start), self._raw_index(end)
        raw = self._raw.slice(first, last)
        flagged = float(self._saturated.slice(first, last).mean())
        return Window(
            start_s=start / MODEL_FS_HZ,
            end_s=end / MODEL_FS_HZ,
            ecg_mv=self._filtered.slice(start - self.anchor, end - self.anchor).copy(),
            lead_off=float(self._lead_off.slice(first, last).mean()),
            saturated=max(flagged, clipped_fraction(raw, self._fs_hz)),
            flat=still_fraction(raw, self._fs_hz),
        )

    def forget_before(self, start: int) -> None:
        self._filtered.forget_before(start - self.anchor)
        for raw in (self._raw, self._lead_off, self._saturated):
            raw.forget_before(self._raw_index(start))

    def _raw_index(self, grid: int) -> int:
        """The first device sample of the segment at or after a place on the grid."""
        return math.ceil((grid - self.anchor) * self._fs_hz / MODEL_FS_HZ)


class _Tail(Generic[_Value]):
    """The last part of a growing array, addressed by the index in the whole."""

    def __init__(self, dtype: type[_Value]) -> None:
        self._start = 0
        self._values: NDArray[_Value] = np.zeros(0, dtype=dtype)

    def append(self, values: NDArray[_Value]) -> None:
        self._values = np.concatenate([self._values, values])

    def slice(self, first: int, last: int) -> NDArray[_Value]:
        return self._values[first - self._start : last - self._start]

    def forget_before(self, first: int) -> None:
        surplus = min(max(first - self._start, 0), len(self._values))
        self._values = self._values[surplus:]
        self._start += surplus
