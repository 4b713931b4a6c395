"""From blocks of device samples to windows for the model, the same way live and in training.

    samples -> 256 Hz -> 0.8 Hz high-pass -> (notch) -> windows of 2560, one per hop

The chain keeps two clocks apart: the device's samples, which count on through a gap, and the 256 Hz grid, on
which a tick ends at 10 s and every hop after. What it yields does not depend on how the samples were cut
into blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..samples import SampleBlock
from .losses import RECENT_S, Losses, hole_before
from .resample import MODEL_FS_HZ, check_rate
from .segment import Segment, Window

WINDOW_SAMPLES = 2560
SETTLE_S = 1.0
BRIDGE_S = 0.040
"""A hole of at most so much time is drawn over; a longer one ends the windows before it."""

_SETTLE_SAMPLES = round(SETTLE_S * MODEL_FS_HZ)
_ROUNDING_S = 1e-9
# Ticks may come as much later than their end as the resampler looks ahead.
_LOSS_MEMORY_S = RECENT_S[-1] + 5.0


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
    lost_samples, lost_60s, lost_total:
        Device samples lost within ``[start_s, end_s)``, in the minute before ``end_s``, and since the
        stream's first sample.
    bridged_samples:
        Those of ``lost_samples`` that were drawn over.
    arrived_s:
        ``arrived_s`` of the block that completed the tick.

    """

    start_s: float
    end_s: float
    window: Window | None
    withheld: tuple[str, ...]
    lost_samples: int
    arrived_s: float | None
    lost_60s: int = 0
    lost_total: int = 0
    bridged_samples: int = 0


class WindowChain:
    """Turn blocks into ticks, one per hop of device time.

    A gap of more than ``BRIDGE_S`` ends what came before it: resampler and filters start anew at the first
    sample after it, the 256 Hz grid is taken up again at that sample's device time (rounded to the grid, so
    at most 2 ms off; not rounded where samples carry times), and no window reaches into the second after it,
    in which the filters settle. Ticks that would end inside a gap are left out. A shorter gap is drawn over
    by a straight line from the sample before it to the one after, and told of in the tick and in the window.

    Parameters
    ----------
    fs_hz:
        The device's nominal sampling rate, 100 to 4000 Hz. Blocks with ``time_s`` are resampled at those
        times.
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
        check_rate(fs_hz)
        self.fs_hz = fs_hz
        self.hop_samples = hop_samples
        self.notch_hz = notch_hz
        self._expected: int | None = None
        self._last_s: float | None = None
        self._last_mv = 0.0
        self._next_end = WINDOW_SAMPLES
        self._losses = Losses(_LOSS_MEMORY_S)
        self._bridged = Losses(_LOSS_MEMORY_S)
        self._interrupted = False
        self._ended = False
        self._arrived_s: float | None = None
        self._segment: Segment | None = None

    def push(self, block: SampleBlock) -> list[Tick]:
        """Take the next block and return the ticks that it completes.

        Raises
        ------
        ValueError
            When the block is of another rate, goes back in time, holds values that are not finite, has times
            where those before had none (or the other way round), or comes after :meth:`flush`.

        """
        self._check(block)
        if len(block) == 0:
            return []
        self._arrived_s = block.arrived_s
        ticks: list[Tick] = []
        lost = block.gap_before
        if self._expected is not None:
            lost = max(lost, block.first_sample - self._expected)
        first_s, step_s = hole_before(block, lost, self._last_s)
        if self._segment is not None and lost and lost * step_s <= BRIDGE_S + _ROUNDING_S:
            self._bridged.add(first_s, lost, step_s)
            self._segment.process(self._bridge(block, lost, first_s, step_s), bridged=True)
        elif self._segment is None or lost:
            ticks = self._close()
            self._interrupted = self._expected is not None
            self._segment = Segment(block, self.notch_hz)
        self._losses.add(first_s, lost, step_s)
        self._expected = block.first_sample + len(block)
        self._last_s, self._last_mv = block.last_s, float(block.ecg_mv[-1])
        self._segment.process(block)
        return ticks + self._due(self._segment)

    def flush(self) -> list[Tick]:
        """Return the ticks that were only waiting for the resampler's look-ahead; the stream has ended."""
        self._ended = True
        return self._close()

    def _close(self) -> list[Tick]:
        if self._segment is None:
            return []
        self._segment.flush()
        return self._due(self._segment)

    def _check(self, block: SampleBlock) -> None:
        if self._ended:
            raise ValueError("the stream has ended: another one needs a chain of its own")
        if block.fs_hz != self.fs_hz:
            raise ValueError(f"a block of {block.fs_hz:g} Hz in a stream of {self.fs_hz:g} Hz")
        if self._expected is not None and block.first_sample < self._expected:
            raise ValueError(f"sample {block.first_sample} came after sample {self._expected - 1}")
        if not np.isfinite(block.ecg_mv).all():
            raise ValueError(f"samples from number {block.first_sample} on hold values that are not finite")
        if self._segment is not None and len(block):
            if self._segment.timed != (block.time_s is not None):
                raise ValueError("some blocks of the stream have device times and others have none")
            if self._last_s is not None and block.time_s is not None and not block.start_s > self._last_s:
                raise ValueError(f"device time {block.start_s:.3f} s came after {self._last_s:.3f} s")

    def _bridge(self, block: SampleBlock, lost: int, first_s: float, step_s: float) -> SampleBlock:
        """Return the samples that are drawn into a hole, on a straight line."""
        share = np.arange(1, lost + 1) / (lost + 1)
        times = first_s + step_s * np.arange(lost, dtype=np.float64)
        return SampleBlock(
            self._last_mv + share * (float(block.ecg_mv[0]) - self._last_mv),
            self.fs_hz,
            block.first_sample - lost,
            time_s=None if block.time_s is None else times,
        )

    def _due(self, segment: Segment) -> list[Tick]:
        ticks = []
        if self._next_end <= segment.anchor:
            missed = (segment.anchor - self._next_end) // self.hop_samples + 1
            self._next_end += missed * self.hop_samples
        while self._next_end <= segment.end:
            ticks.append(self._tick(segment, self._next_end))
            self._next_end += self.hop_samples
        segment.forget_before(self._next_end - WINDOW_SAMPLES)
        return ticks

    def _tick(self, segment: Segment, end: int) -> Tick:
        start = end - WINDOW_SAMPLES
        start_s, end_s = start / MODEL_FS_HZ, end / MODEL_FS_HZ
        window = None
        withheld: tuple[str, ...] = ()
        if start >= segment.anchor + _SETTLE_SAMPLES:
            window = segment.window(start, end)
        else:
            withheld = ("gap",) if self._interrupted else ("warming_up",)
        return Tick(
            start_s,
            end_s,
            window,
            withheld,
            self._losses.between(start_s, end_s),
            self._arrived_s,
            self._losses.last(RECENT_S[-1], end_s),
            self._losses.until(end_s),
            self._bridged.between(start_s, end_s),
        )
