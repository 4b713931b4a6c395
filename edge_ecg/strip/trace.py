"""What of a stream is drawn: its samples without the electrode's offset, the holes in it, and its marks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..marks import Mark
from ..samples import BoolArray, FloatArray, SampleBlock
from ..signal.iir import Biquad, high_pass, notch
from ..signal.rpeaks import detect_r_peaks

# Shorter pieces have no beats: the detector judges a beat by those around it.
_LEAST_BEATS_S = 2.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples without a hole: device times (n,) s, millivolts (n,), high-passed; flags (n,)."""

    time_s: FloatArray
    ecg_mv: FloatArray
    lead_off: BoolArray
    saturated: BoolArray

    def __len__(self) -> int:
        return len(self.time_s)

    def within(self, from_s: float, to_s: float) -> Piece:
        """The part from ``from_s`` up to ``to_s``."""
        begin, end = np.searchsorted(self.time_s, (from_s, to_s), side="left").tolist()
        return Piece(
            self.time_s[begin:end],
            self.ecg_mv[begin:end],
            self.lead_off[begin:end],
            self.saturated[begin:end],
        )


@dataclass(frozen=True, slots=True)
class Hole:
    """Lost samples: device time from the one before to the one after, and how many are missing."""

    from_s: float
    to_s: float
    lost_samples: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a trace, from ``from_s`` to ``to_s``, ready to be drawn."""

    from_s: float
    to_s: float
    pieces: tuple[Piece, ...]
    holes: tuple[Hole, ...]
    marks: tuple[Mark, ...]
    beats_s: FloatArray

    @property
    def heart_rate_bpm(self) -> float | None:
        """60 over the median interval of the beats; None with fewer than three intervals."""
        intervals_s = np.diff(self.beats_s)
        return float(60.0 / np.median(intervals_s)) if len(intervals_s) >= 3 else None

    @property
    def ecg_mv(self) -> FloatArray:
        """All samples in a row, (n,) mV."""
        return np.concatenate([np.zeros(0), *(piece.ecg_mv for piece in self.pieces)])


class Trace:
    """Takes the blocks and marks of a session (:class:`edge_ecg.session.BlockSink`), and keeps the last ones.

    Parameters
    ----------
    fs_hz:
        The device's sampling rate.
    notch_hz:
        Mains frequency to take out, or None.
    keep_s:
        Seconds of device time to keep; None for all.

    Attributes
    ----------
    end_s:
        Device time just after the last sample.

    """

    def __init__(self, fs_hz: float, *, notch_hz: float | None = None, keep_s: float | None = None) -> None:
        self.fs_hz = fs_hz
        self.end_s = 0.0
        self._notch_hz = notch_hz
        self.keep_s = keep_s
        self._pieces: deque[list[Piece]] = deque()
        self._holes: deque[Hole] = deque()
        self._marks: deque[Mark] = deque()
        self._filters: list[Biquad] = []
        self._next_sample: int | None = None
        self._last_s = 0.0

    @property
    def start_s(self) -> float:
        """Device time of the first sample that is kept."""
        return float(self._pieces[0][0].time_s[0]) if self._pieces else 0.0

    def write(self, block: SampleBlock) -> None:
        """Take the next block."""
        if not len(block):
            return
        jump = 0 if self._next_sample is None else block.first_sample - self._next_sample
        lost = max(jump, block.gap_before)
        if lost and self._pieces:
            self._holes.append(Hole(self._last_s, block.start_s, lost))
        if lost or not self._pieces:
            self._pieces.append([])
            self._filters = [high_pass(self.fs_hz)]
            if self._notch_hz is not None:
                self._filters.append(notch(self.fs_hz, self._notch_hz))
        self._pieces[-1].append(self._piece(block))
        self._next_sample = block.first_sample + len(block)
        self._last_s, self.end_s = block.last_s, block.end_s
        self._drop_old()

    def mark(self, at_s: float, text: str) -> None:
        """Take a mark."""
        self._marks.append(Mark(at_s, text))

    def stretch(self, from_s: float, to_s: float) -> Stretch:
        """Return what there is from ``from_s`` to ``to_s``, with the beats in it."""
        pieces = [part for part in (_within(run, from_s, to_s) for run in self._pieces) if len(part)]
        return Stretch(
            from_s,
            to_s,
            tuple(pieces),
            tuple(hole for hole in self._holes if hole.from_s < to_s and hole.to_s > from_s),
            tuple(mark for mark in self._marks if from_s <= mark.at_s < to_s),
            np.concatenate([np.zeros(0), *(self._beats_s(piece) for piece in pieces)]),
        )

    def _piece(self, block: SampleBlock) -> Piece:
        time_s = block.time_s
        if time_s is None:
            time_s = (block.first_sample + np.arange(len(block))) / block.fs_hz
        ecg_mv = block.ecg_mv
        for one in self._filters:
            ecg_mv = one.process(ecg_mv)
        nothing: NDArray[np.bool_] = np.zeros(len(block), dtype=np.bool_)
        return Piece(
            time_s,
            ecg_mv,
            nothing if block.lead_off is None else block.lead_off,
            nothing if block.saturated is None else block.saturated,
        )

    def _drop_old(self) -> None:
        if self.keep_s is None:
            return
        before_s = self.end_s - self.keep_s
        while self._pieces:
            run = self._pieces[0]
            while len(run) > 1 and run[0].time_s[-1] < before_s:
                del run[0]
            if len(self._pieces) == 1 or run[-1].time_s[-1] >= before_s:
                break
            self._pieces.popleft()
        while self._holes and self._holes[0].to_s < before_s:
            self._holes.popleft()
        while self._marks and self._marks[0].at_s < before_s:
            self._marks.popleft()

    def _beats_s(self, piece: Piece) -> FloatArray:
        if len(piece) < _LEAST_BEATS_S * self.fs_hz or piece.lead_off.mean() > 0.5:
            return np.zeros(0)
        beats = detect_r_peaks(piece.ecg_mv, self.fs_hz)
        return piece.time_s[beats[~piece.lead_off[beats]]]


def _within(run: list[Piece], from_s: float, to_s: float) -> Piece:
    """What a run of pieces without a hole between them holds of a stretch, as one."""
    parts = [one.within(from_s, to_s) for one in run if one.time_s[-1] >= from_s and one.time_s[0] < to_s]
    parts = parts or [run[0].within(from_s, from_s)]
    return Piece(
        np.concatenate([part.time_s for part in parts]),
        np.concatenate([part.ecg_mv for part in parts]),
        np.concatenate([part.lead_off for part in parts]),
        np.concatenate([part.saturated for part in parts]),
    )
