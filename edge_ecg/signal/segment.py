"""The stream between two gaps: raw samples and flags, and the filtered signal on the 256 Hz grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..samples import FloatArray, SampleBlock
from .iir import Biquad, high_pass, notch
from .motion import magnitude_g, movement_g
from .raw import clipped_fraction, still_fraction
from .resample import MODEL_FS_HZ, Resampler
from .timed import TimedResampler

_Value = TypeVar("_Value", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Window:
    """One full window, with no gap inside but bridged ones.

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
    bridged:
        Fraction of the window's samples that were lost and drawn in between their neighbours.
    motion_g:
        Movement by the device's accelerometer (:mod:`edge_ecg.signal.motion`); 0 where there is none.

    """

    start_s: float
    end_s: float
    ecg_mv: FloatArray
    lead_off: float
    saturated: float
    flat: float
    bridged: float = 0.0
    motion_g: float = 0.0


class Segment:
    """Samples without a hole, from their first on, on the grid.

    Samples lie at ``time_s`` where the first block has it, else one ``1 / fs_hz`` after the other.

    Attributes
    ----------
    anchor, end:
        Numbers of the grid's first sample and of the one after its last.

    """

    def __init__(self, block: SampleBlock, notch_hz: float | None) -> None:
        self._fs_hz = block.fs_hz
        self._resampler: Resampler | None = None
        self._timed: TimedResampler | None = None
        if block.time_s is None:
            self._resampler = Resampler(block.fs_hz)
            self.anchor = round(block.first_sample * MODEL_FS_HZ / block.fs_hz)
        else:
            self._timed = TimedResampler(block.fs_hz)
            self.anchor = math.ceil(block.start_s * MODEL_FS_HZ)
        self.end = self.anchor
        self._filters: list[Biquad] = [high_pass(MODEL_FS_HZ)]
        if notch_hz is not None:
            self._filters.append(notch(MODEL_FS_HZ, notch_hz))
        self._filtered: _Tail[np.float64] = _Tail(np.float64)
        self._raw: _Tail[np.float64] = _Tail(np.float64)
        self._times: _Tail[np.float64] = _Tail(np.float64)
        self._magnitude: _Tail[np.float64] = _Tail(np.float64)
        self._lead_off: _Tail[np.bool_] = _Tail(np.bool_)
        self._saturated: _Tail[np.bool_] = _Tail(np.bool_)
        self._bridged: _Tail[np.bool_] = _Tail(np.bool_)

    @property
    def timed(self) -> bool:
        """Whether samples carry times of their own."""
        return self._timed is not None

    def process(self, block: SampleBlock, *, bridged: bool = False) -> None:
        """Take the next samples; ``bridged`` ones are drawn in, not measured."""
        nothing = np.zeros(len(block), dtype=np.bool_)
        acceleration = block.acceleration_g
        self._raw.append(block.ecg_mv)
        self._lead_off.append(nothing if block.lead_off is None else block.lead_off)
        self._saturated.append(nothing if block.saturated is None else block.saturated)
        self._bridged.append(~nothing if bridged else nothing)
        self._magnitude.append(
            np.full(len(block), np.nan) if acceleration is None else magnitude_g(acceleration)
        )
        if self._resampler is not None:
            self._filter(self._resampler.process(block.ecg_mv))
        if self._timed is not None:
            assert block.time_s is not None, "the chain lets no block without times in here"
            self._times.append(block.time_s)
            self._filter(self._timed.process(block.ecg_mv, block.time_s))

    def flush(self) -> None:
        """Take what the resampler still held back: no more samples come."""
        for resampler in (self._resampler, self._timed):
            if resampler is not None:
                self._filter(resampler.flush())

    def _filter(self, x: FloatArray) -> None:
        for stage in self._filters:
            x = stage.process(x)
        self._filtered.append(x)
        self.end += len(x)

    def window(self, start: int, end: int) -> Window:
        """Return the window between two places on the grid, which the segment holds."""
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
            bridged=float(self._bridged.slice(first, last).mean()),
            motion_g=movement_g(self._magnitude.slice(first, last), self._fs_hz),
        )

    def forget_before(self, start: int) -> None:
        """Let go of what lies before a place on the grid."""
        raw = self._raw_index(start)
        self._filtered.forget_before(start - self.anchor)
        self._raw.forget_before(raw)
        self._times.forget_before(raw)
        self._magnitude.forget_before(raw)
        for flags in (self._lead_off, self._saturated, self._bridged):
            flags.forget_before(raw)

    def _raw_index(self, grid: int) -> int:
        """The first device sample of the segment at or after a place on the grid."""
        if self._timed is not None:
            return self._times.first_at_or_after(grid / MODEL_FS_HZ)
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

    def first_at_or_after(self, value: float) -> int:
        return self._start + int(np.searchsorted(self._values, value, side="left"))

    def forget_before(self, first: int) -> None:
        surplus = min(max(first - self._start, 0), len(self._values))
        self._values = self._values[surplus:]
        self._start += surplus
