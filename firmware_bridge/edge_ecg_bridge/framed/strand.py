"""One run of a board: its info frame, its frames in order, and their samples in millivolts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..stream import DeviceClock, FloatArray, Samples
from .info import Channel, Info, State
from .order import Order, Placed
from .packets import BodyLayout, DataFrame, Flag

_TURN = 1 << 32


@dataclass(frozen=True, slots=True)
class Base:
    """Where a run begins in the stream: number and time of its first sample."""

    number: int = 0
    time_s: float = 0.0


class Strand:
    """Reads the data frames of one run; one channel of them.

    Parameters
    ----------
    info:
        By which to read them.
    channel:
        Index of the channel to read.

    """

    def __init__(self, info: Info, channel: int) -> None:
        self.info = info
        self.base = Base()
        self.order = Order(info.fs_hz)
        self.misfits = 0
        self.next_sample = 0
        self.last_s = 0.0
        self._channel = channel
        self._first: Placed | None = None
        self._layout = BodyLayout.of(info)
        # Number and time of the last sample delivered; the nominal step before the first one.
        self._before = -1, -1.0 / info.fs_hz

    @property
    def channel(self) -> Channel:
        """What the info frame says of the channel that is read."""
        return self.info.channels[self._channel]

    @property
    def device_clock(self) -> DeviceClock | None:
        """The board's clock at sample 0 of the stream, by which this run's samples are timed.

        That is its sample counter where its oscillator paces the samples, else its microseconds.
        """
        first = self._first
        if first is None:
            return None
        if self.info.state & State.EVEN:
            fs_hz = self.info.fs_hz
            return DeviceClock((first.frame.first - self.base.number) / fs_hz, _TURN / fs_hz)
        return DeviceClock(first.frame.time_us / 1e6 - first.last_s - self.base.time_s, _TURN / 1e6)

    def take(self, frame: DataFrame) -> list[Placed]:
        """Return the frames that have found their places by now."""
        samples = self._layout.samples_in(frame)
        if not samples:
            self.misfits += 1
            return []
        return self.order.take(frame, samples)

    def read(self, placed: Sequence[Placed], first_gap: int = 0) -> Iterator[Samples]:
        """Yield the samples of frames, a block for each stretch without a hole.

        ``first_gap`` is what was lost before the first frame of the run, as far as anybody knows.
        """
        holes = [0, *(i for i in range(1, len(placed)) if placed[i].lost), len(placed)]
        for begin, end in pairwise(holes):
            yield self._block(placed[begin:end], placed[begin].lost + first_gap)
            first_gap = 0

    def _block(self, run: Sequence[Placed], gap: int) -> Samples:
        if self._first is None:
            self._first = run[0]
        frames = [item.frame for item in run]
        sizes = [item.samples for item in run]
        channel = self.channel
        counts = self._layout.counts(frames)[:, self._channel].astype(np.float64)
        flags = np.repeat(np.array([frame.flags for frame in frames], dtype=np.uint8), sizes)
        acceleration_g = self._layout.acceleration_g(frames)
        time_s = self._times(run)
        self.next_sample = self.base.number + run[-1].end
        self.last_s = self.base.time_s + run[-1].last_s
        return Samples(
            (counts - channel.zero) * channel.mv_per_count,
            self.base.number + run[0].first,
            gap,
            (flags & Flag.ELECTRODES) != 0 if self.info.state & State.ELECTRODES else None,
            (counts <= channel.low) | (counts >= channel.high) | ((flags & Flag.SATURATED) != 0),
            None if self.info.state & State.EVEN else time_s,
            None if acceleration_g is None else np.repeat(acceleration_g, sizes, axis=0),
        )

    def _times(self, run: Sequence[Placed]) -> FloatArray:
        """Return the time of each sample: between the ends of two frames they lie evenly."""
        at = [self._before, *((item.end - 1, item.last_s) for item in run)]
        self._before = at[-1]
        numbers, times = zip(*at, strict=True)
        time_s: FloatArray = np.interp(np.arange(run[0].first, run[-1].end), numbers, times)
        return self.base.time_s + time_s
