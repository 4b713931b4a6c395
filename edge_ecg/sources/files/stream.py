"""Play a recording as a source: in real time, faster, or as fast as it can be read."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...samples import BoolArray, FloatArray, SampleBlock, SourceEvent, SourceInfo
from ..base import Clock
from .options import FileOptions
from .recording import Chunk, Marker, Recording, contiguous_runs, reading

_PACED_BLOCK_S = 0.04
_FAST_BLOCK_S = 1.0
# A longer hole is a damaged number rather than a pause; nobody would want to sit through it either.
_LONGEST_GAP_S = 7 * 86400.0
# Electrode offsets reach some hundred mV. Ten volts is a wrong unit.
_LARGEST_MV = 1e4

_Value = TypeVar("_Value", bound=np.generic)
Sleep = Callable[[float], object]


@dataclass(slots=True)
class _Run:
    """Samples without a hole, waiting to fill a block."""

    first_sample: int
    ecg_mv: FloatArray
    lead_off: BoolArray | None
    saturated: BoolArray | None
    time_s: FloatArray | None
    acceleration_g: FloatArray | None

    @property
    def end_sample(self) -> int:
        return self.first_sample + len(self.ecg_mv)

    def end_s(self, fs_hz: float) -> float:
        return self.end_sample / fs_hz if self.time_s is None else float(self.time_s[-1]) + 1.0 / fs_hz

    def start_s(self, fs_hz: float) -> float:
        return self.first_sample / fs_hz if self.time_s is None else float(self.time_s[0])

    def append(self, other: _Run) -> _Run:
        return _Run(
            self.first_sample,
            np.concatenate((self.ecg_mv, other.ecg_mv)),
            _joined(self.lead_off, other.lead_off),
            _joined(self.saturated, other.saturated),
            _joined(self.time_s, other.time_s),
            _joined(self.acceleration_g, other.acceleration_g),
        )

    def part(self, begin: int, end: int) -> _Run:
        return _Run(
            self.first_sample + begin,
            self.ecg_mv[begin:end],
            None if self.lead_off is None else self.lead_off[begin:end],
            None if self.saturated is None else self.saturated[begin:end],
            None if self.time_s is None else self.time_s[begin:end],
            None if self.acceleration_g is None else self.acceleration_g[begin:end],
        )


def _joined(first: NDArray[_Value] | None, second: NDArray[_Value] | None) -> NDArray[_Value] | None:
    return None if first is None or second is None else np.concatenate((first, second))


class FileSource:
    """A recording as a :class:`~edge_ecg.sources.base.Source`.

    Samples that the recording marks as lost (NaN, a jump in its numbers or times, an EDF+D pause) become
    ``gap_before`` of the block that follows; nothing is filled in. Samples are numbered from the first one
    that is played. Blocks hold 40 ms when paced (``arrived_s`` is then the clock's time) and 1 s when not; a
    block before a gap may be shorter. Iterating anew plays anew.

    Parameters
    ----------
    markers:
        Marks that stand beside the recording, in addition to those within it.
    sleep:
        Waits for a number of seconds; None waits so that :meth:`close` ends the wait.

    """

    def __init__(
        self,
        recording: Recording,
        path: Path,
        address: str,
        options: FileOptions,
        *,
        clock: Clock,
        markers: Sequence[Marker] = (),
        sleep: Sleep | None = None,
    ) -> None:
        self._recording = recording
        self._markers = sorted([*recording.markers, *markers], key=lambda marker: marker.at_s)
        self._path = path
        self._options = options
        self._clock = clock
        self._closed = threading.Event()
        self._sleep: Sleep = self._closed.wait if sleep is None else sleep
        self.info = SourceInfo(
            address=address,
            device=f"file:{recording.kind}",
            fs_hz=recording.fs_hz,
            details=dict(recording.details),
        )

    def close(self) -> None:
        """End the iteration, wherever it is."""
        self._closed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[SampleBlock | SourceEvent]:
        with reading(self._path, self._recording.kind):
            if math.isinf(self._options.speed):
                yield from self._items(arrived_s=None)
            else:
                yield from self._paced()

    def _paced(self) -> Iterator[SampleBlock | SourceEvent]:
        began = self._clock()
        for item in self._items(arrived_s=began):
            due_s = item.end_s if isinstance(item, SampleBlock) else item.at_s
            wait = began + due_s / self._options.speed - self._clock()
            if wait > 0:
                self._sleep(wait)
            if self._closed.is_set():
                return
            if isinstance(item, SampleBlock):
                item = replace(item, arrived_s=self._clock())
            yield item

    def _items(self, arrived_s: float | None) -> Iterator[SampleBlock | SourceEvent]:
        """Blocks and the markers between them, the first block at sample 0."""
        fs_hz = self._recording.fs_hz
        block_s = _FAST_BLOCK_S if arrived_s is None else _PACED_BLOCK_S
        size = max(1, round(block_s * fs_hz))
        base: int | None = None
        expected, base_s = 0, 0.0
        markers = iter(self._markers)
        marker = next(markers, None)
        for run in self._blocks(size):
            if base is None:
                base = expected = run.first_sample
                base_s = run.start_s(fs_hz)
                while marker is not None and marker.at_s < base_s:
                    marker = next(markers, None)
            first = run.first_sample - base
            while marker is not None and marker.at_s < run.end_s(fs_hz):
                yield SourceEvent("marker", marker.at_s - base_s, {"text": marker.text})
                marker = next(markers, None)
            gap = run.first_sample - expected
            expected = run.end_sample
            if self._closed.is_set():
                return
            yield SampleBlock(
                run.ecg_mv,
                fs_hz,
                first,
                gap,
                run.lead_off,
                run.saturated,
                None if run.time_s is None else run.time_s - base_s,
                run.acceleration_g,
                arrived_s,
            )
        if base is None and not self._closed.is_set():
            raise self._nothing()

    def _blocks(self, size: int) -> Iterator[_Run]:
        """Runs of at most ``size`` samples; shorter only before a gap and at the end."""
        held: _Run | None = None
        for run in self._runs():
            if held is not None and held.end_sample != run.first_sample:
                yield held
                held = None
            held = run if held is None else held.append(run)
            whole = len(held.ecg_mv) // size * size
            for begin in range(0, whole, size):
                yield held.part(begin, begin + size)
            held = held.part(whole, len(held.ecg_mv)) if whole < len(held.ecg_mv) else None
        if held is not None:
            yield held

    def _runs(self) -> Iterator[_Run]:
        """What was asked for of the recording, cut at every lost sample."""
        fs_hz = self._recording.fs_hz
        start = round(self._options.start_s * fs_hz)
        stop = start + self._options.duration_s * fs_hz
        expected: int | None = None
        last_s = -math.inf
        for chunk in self._recording.chunks(start):
            self._check(chunk, expected)
            last_s = self._check_times(chunk, last_s)
            expected = chunk.first_sample + len(chunk.ecg_mv)
            numbers = np.arange(chunk.first_sample, expected)
            wanted = np.flatnonzero(np.isfinite(chunk.ecg_mv) & (numbers >= start) & (numbers < stop))
            for part in contiguous_runs(wanted) if wanted.size else ():
                begin, end = int(wanted[part][0]), int(wanted[part][-1]) + 1
                yield _Run(
                    chunk.first_sample,
                    chunk.ecg_mv,
                    chunk.lead_off,
                    chunk.saturated,
                    chunk.time_s,
                    chunk.acceleration_g,
                ).part(begin, end)
            if expected >= stop:
                return

    def _check(self, chunk: Chunk, expected: int | None) -> None:
        fs_hz = self._recording.fs_hz
        at = f"{chunk.first_sample / fs_hz:.1f} s"
        if expected is not None and chunk.first_sample < expected:
            raise DataError(
                f"{self._path.name} runs backwards in time at {at}.",
                why="Its sample numbers or time stamps are damaged, or it is two recordings in one file.",
                remedy="Play the part before it: add ?duration=SECONDS.",
            )
        gap_s = 0.0 if expected is None else (chunk.first_sample - expected) / fs_hz
        if gap_s > _LONGEST_GAP_S:
            raise DataError(
                f"{self._path.name} jumps by {gap_s / 86400:.3g} days before {at}.",
                why="Its sample numbers or time stamps are damaged.",
                remedy="Play the part before it: add ?duration=SECONDS.",
            )
        largest = np.max(np.abs(chunk.ecg_mv), where=np.isfinite(chunk.ecg_mv), initial=0.0)
        if largest > _LARGEST_MV:
            raise DataError(
                f"{self._path.name} reaches {largest / 1000:.3g} V at about {at}; no electrode gives that.",
                why="The values are in another unit than stated, or the file is damaged.",
                remedy="State the unit with ?unit=uV, or millivolts per step with ?scale=.",
            )

    def _check_times(self, chunk: Chunk, last_s: float) -> float:
        """Return the last device time of a chunk, of which each must lie after the one before it."""
        if chunk.time_s is None or not len(chunk.time_s):
            return last_s
        if not (np.diff(chunk.time_s, prepend=last_s) > 0.0).all():
            raise DataError(
                f"The device times of {self._path.name} do not rise after sample {chunk.first_sample}.",
                why="Its column of times is damaged, or it is two recordings in one file.",
                remedy="Play the part before it: add ?duration=SECONDS.",
            )
        return float(chunk.time_s[-1])

    def _nothing(self) -> DataError:
        if self._options.start_s > 0:
            return DataError(
                f"{self._path.name} holds no sample from {self._options.start_s:g} s on.",
                remedy="Give a smaller ?start=.",
            )
        return DataError(
            f"{self._path.name} holds no sample.",
            why="It is empty, or all its values are marked as lost.",
            remedy="Check how it was recorded or exported.",
        )
