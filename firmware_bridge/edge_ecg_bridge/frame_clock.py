"""Frames of samples with the device's time: what follows what, what was lost, and when each sample was.

For devices that send so many samples under one time stamp (Polar, Movesense). A frame is believed by its
stamp alone, never by its arrival:

* the same frame once more is a duplicate;
* half to one and a half frames after the last one it follows on; the pairs that do give the real rate. Where
  parts of frames may be lost too, a tenth of a frame more than one is the most once the rate is known;
* later than that, frames were lost: ``round(elapsed * rate)`` samples less those in the frame. As whole
  frames are lost, a whole number of them is taken when it lies within what the rate leaves open;
* from where frames are missing, it comes too late: its samples were counted as lost already;
* earlier otherwise, or from the future, its stamp is wild, or the device's clock was set. From the future is
  what would have arrived before it was measured, by the least delay seen so far. Such a frame waits for the
  next one: where that follows on it, the clock was set, and what was lost meanwhile is counted by the time
  of arrival; where that follows on the last good frame, the odd one is thrown away.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from .stream import FloatArray

_RATE_WINDOW_S = 60.0
# Pairs of frames until the rate is taken for known, to _RATE_ERROR.
_ENOUGH_PAIRS = 3
_RATE_ERROR = 5e-4
# What a stamp may lie off: of a frame's length where whole frames are lost; else, and once the rate is known,
# of a frame's length or samples, whichever is more.
_JITTER, _PART_JITTER, _PART_JITTER_SAMPLES = 0.5, 0.1, 1.5
# How much earlier than ever a frame may arrive, and how fast the least delay is forgotten (the drift of
# both clocks, generously).
_EARLY_S = 0.3
_DRIFT = 1e-3
_RECENT = 32


@dataclass(frozen=True, slots=True)
class Frame:
    """Samples under one time stamp.

    Attributes
    ----------
    stamp:
        The device's time, in its own ticks.
    ecg_mv:
        (n,) millivolts.
    arrived_s:
        Host time.
    key:
        Its bytes, by which a duplicate is known.

    """

    stamp: int
    ecg_mv: FloatArray
    arrived_s: float
    key: bytes


@dataclass(frozen=True, slots=True)
class Placed:
    """A frame in its place.

    Attributes
    ----------
    frame:
        The frame.
    first_sample, gap_before:
        As in :class:`edge_ecg_bridge.stream.Samples`.
    stamp_s:
        Its stamp in seconds after the first frame's, going on evenly where the device's clock was set.
    shift_s:
        What was taken off for that: ``stamp_s`` = seconds of the device's own clock - ``shift_s``.

    """

    frame: Frame
    first_sample: int
    gap_before: int
    stamp_s: float
    shift_s: float


class FrameClock:
    """Puts the frames of one stream in their places.

    Parameters
    ----------
    nominal_hz, tolerance:
        The rate that the device promises, and how far (relative) the real one may lie off.
    tick_hz, modulus:
        Of the time stamp.
    marks_last:
        Whether a stamp belongs to the last sample of its frame, or to the first.
    loses_parts:
        Whether the end of a frame may be lost alone.

    Attributes
    ----------
    duplicates, frames_late, clock_steps:
        Frames that came again; frames out of order or with a wild stamp; how often the clock was set.

    """

    def __init__(
        self,
        nominal_hz: float,
        *,
        tolerance: float,
        tick_hz: float,
        modulus: int,
        marks_last: bool,
        loses_parts: bool = False,
    ) -> None:
        self.duplicates = 0
        self.frames_late = 0
        self.clock_steps = 0
        self._nominal_hz, self._tolerance = nominal_hz, tolerance
        self._tick_hz, self._modulus = tick_hz, modulus
        self._marks_last, self._loses_parts = marks_last, loses_parts
        self._pairs: deque[tuple[int, int]] = deque()
        self._pair_samples = self._pair_ticks = 0
        self._good: Placed | None = None
        self._odd: Frame | None = None
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=_RECENT)
        self._holes: deque[tuple[Frame, Frame]] = deque(maxlen=_RECENT)
        self._next = 0
        self._least_delay_s = 0.0

    @property
    def rate_hz(self) -> float:
        """The device's real rate as far as it is known by its own clock; the nominal one before."""
        if len(self._pairs) < _ENOUGH_PAIRS:
            return self._nominal_hz
        rate = self._pair_samples * self._tick_hz / self._pair_ticks
        margin_hz = self._nominal_hz * self._tolerance
        return min(max(rate, self._nominal_hz - margin_hz), self._nominal_hz + margin_hz)

    def place(self, frame: Frame) -> list[Placed]:
        """Return what has its place now: nothing, this frame, or the one that waited and this one."""
        if (frame.stamp, frame.key) in self._recent:
            self.duplicates += 1
            return []
        self._recent.append((frame.stamp, frame.key))
        if self._good is None:
            return [self._accept(frame, 0, 0.0)]
        if self._odd is not None and self._follows(self._odd, frame):
            return self._set_clock(self._odd, frame)
        ticks = self._ticks(self._good.frame, frame)
        later = self._is_later(ticks, frame) and not self._early(frame)
        if later or self._follows(self._good.frame, frame):
            self._give_up()
            return [self._go_on(frame, ticks)]
        if any(self._ticks(a, frame) > 0 and self._ticks(frame, b) > 0 for a, b in self._holes):
            self.frames_late += 1
        elif self._odd is not None and self._is_later(self._ticks(self._odd, frame), frame):
            return self._set_clock(self._odd, frame)
        else:
            self._give_up()
            self._odd = frame
        return []

    # -- judging ---------------------------------------------------------------------------------------

    def _ticks(self, before: Frame, frame: Frame) -> int:
        """Ticks from one stamp to another, the shorter way around."""
        half = self._modulus // 2
        return (frame.stamp - before.stamp + half) % self._modulus - half

    def _between(self, before: Frame, frame: Frame) -> int:
        """Samples between the stamps of two frames that follow each other."""
        return len(frame.ecg_mv if self._marks_last else before.ecg_mv)

    def _frames(self, ticks: int, n: int) -> float:
        return ticks / self._tick_hz * self.rate_hz / n

    def _follows(self, before: Frame, frame: Frame) -> bool:
        n = self._between(before, frame)
        frames = self._frames(self._ticks(before, frame), n)
        jitter = _JITTER
        if self._loses_parts and len(self._pairs) >= _ENOUGH_PAIRS:
            jitter = max(_PART_JITTER, _PART_JITTER_SAMPLES / n)
        return 1.0 - _JITTER <= frames <= 1.0 + jitter

    def _is_later(self, ticks: int, frame: Frame) -> bool:
        return self._frames(ticks, len(frame.ecg_mv)) >= 0.5

    def _early(self, frame: Frame) -> bool:
        assert self._good is not None
        elapsed_s = frame.arrived_s - self._good.frame.arrived_s
        delay_s = elapsed_s - self._ticks(self._good.frame, frame) / self._tick_hz
        return delay_s < self._least_delay_s - _DRIFT * max(elapsed_s, 0.0) - _EARLY_S

    def _give_up(self) -> None:
        self.frames_late += self._odd is not None
        self._odd = None

    # -- placing ---------------------------------------------------------------------------------------

    def _go_on(self, frame: Frame, ticks: int) -> Placed:
        good = self._good
        assert good is not None
        between = self._between(good.frame, frame)
        follows = self._follows(good.frame, frame)
        lost = 0 if follows else self._lost(ticks, between)
        if follows:
            self._learn(between, ticks)
        else:
            self._holes.append((good.frame, frame))
        # The least delay is kept relative to the last good frame.
        delay_s = frame.arrived_s - good.frame.arrived_s - ticks / self._tick_hz
        drift_s = _DRIFT * max(frame.arrived_s - good.frame.arrived_s, 0.0)
        self._least_delay_s = min(self._least_delay_s + drift_s - delay_s, 0.0)
        return self._accept(frame, lost, good.stamp_s + ticks / self._tick_hz)

    def _lost(self, ticks: int, n: int) -> int:
        samples = ticks / self._tick_hz * self.rate_hz
        whole = max(round(samples / n), 2) * n
        known = len(self._pairs) >= _ENOUGH_PAIRS
        doubt = 0.5 + self.rate_hz / self._tick_hz + _RATE_ERROR * samples
        if not known:
            doubt = 0.1 * n + self._tolerance * samples
        return (whole if abs(whole - samples) <= doubt else round(samples)) - n

    def _learn(self, samples: int, ticks: int) -> None:
        self._pairs.append((samples, ticks))
        self._pair_samples += samples
        self._pair_ticks += ticks
        while self._pair_ticks > _RATE_WINDOW_S * self._tick_hz and len(self._pairs) > _ENOUGH_PAIRS:
            old_samples, old_ticks = self._pairs.popleft()
            self._pair_samples -= old_samples
            self._pair_ticks -= old_ticks

    def _set_clock(self, first: Frame, second: Frame) -> list[Placed]:
        """Go on with a clock that was set between the last good frame and ``first``."""
        good = self._good
        assert good is not None
        self._odd = None
        self.clock_steps += 1
        between = self._between(good.frame, first)
        frames = (first.arrived_s - good.frame.arrived_s) * self.rate_hz / between
        lost = (max(round(frames), 1) - 1) * between
        stamp_s = good.stamp_s + (lost + between) / self.rate_hz
        self._least_delay_s = 0.0
        self._holes.clear()
        placed = self._accept(first, lost, stamp_s)
        return [placed, self._go_on(second, self._ticks(first, second))]

    def _accept(self, frame: Frame, lost: int, stamp_s: float) -> Placed:
        shift_s = frame.stamp / self._tick_hz - stamp_s
        placed = Placed(frame, self._next + lost, lost, stamp_s, shift_s)
        self._next += lost + len(frame.ecg_mv)
        self._good = placed
        return placed
