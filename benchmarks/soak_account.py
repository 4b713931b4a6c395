"""What the soak keeps while it runs: every sample held against what its device measured, in little memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from edge_ecg.samples import SampleBlock, SourceEvent, SourceInfo
from edge_ecg.sources.session_source import SessionSource
from edge_ecg_bridge.emulators.base import Reservoir
from edge_ecg_bridge.faults import Damage, FaultySignal, Harm, Truth

_MATCH, _MATCH_COARSE = 64, 512
_COARSE_MV = 1e-3  # a flat piece looks like many others on such a converter
_LATEST_BEGIN = 1 << 20  # the queue may have dropped what came first


@dataclass
class Part:
    """What one connection delivered, held against what its device measured."""

    first: int
    truth: Reservoir
    step_mv: float
    next_place: int = 0
    _known: np.ndarray = field(default_factory=lambda: np.zeros(0))
    head: list[SampleBlock] = field(default_factory=list)
    offset: int | None = None
    missing: list[tuple[int, int]] = field(default_factory=list)
    wrong: int = 0

    def next(self, first: int) -> Part:
        """Return the part of the next connection to a device that went on without one."""
        return Part(first, self.truth, self.step_mv, self.next_place, self._known)

    def take(self, block: SampleBlock) -> None:
        """Take a block of the stream; the first samples tell where in the device's own count it begins."""
        if self.offset is not None:
            self._compare(block)
            return
        self.head.append(block)
        enough = _MATCH if self.step_mv < _COARSE_MV else _MATCH_COARSE
        if sum(int((~_doubtful(held)).sum()) for held in self.head) >= enough:
            self._find()
            for held in self.head:
                self._compare(held)
            self.head = []

    def _find(self) -> None:
        sound = ~np.concatenate([_doubtful(block) for block in self.head])
        values = np.concatenate([block.ecg_mv for block in self.head])[sound]
        numbers = np.concatenate([block.first_sample + np.arange(len(block)) for block in self.head])[sound]
        numbers, passed = numbers - self.first, self.next_place
        latest = passed + _LATEST_BEGIN
        while passed < latest:
            self._known = np.concatenate([self._known, self.truth.take(1024 + int(numbers[-1]))])
            windows = np.lib.stride_tricks.sliding_window_view(self._known, int(numbers[-1]) + 1)
            worst = np.abs(windows[:, numbers] - values).max(axis=1)
            at = int(np.argmin(worst))
            if worst[at] < 0.51 * self.step_mv:
                self.offset, self.next_place = passed + at - self.first, passed + at
                self._known = self._known[at:]
                return
            passed += len(windows)
            self._known = self._known[len(windows) :]
        raise AssertionError("what a connection delivers first is nowhere in what the device measured")

    def _measured(self, n: int) -> np.ndarray:
        """Return the next ``n`` samples that the device measured."""
        if len(self._known) < n:
            self._known = np.concatenate([self._known, self.truth.take(n - len(self._known) + 4096)])
        taken, self._known = self._known[:n], self._known[n:]
        return taken

    def _compare(self, block: SampleBlock) -> None:
        assert self.offset is not None
        place = block.first_sample + self.offset
        if place > self.next_place:
            self.missing.append((self.next_place, place))
        self._measured(place - self.next_place)
        difference = np.abs(block.ecg_mv - self._measured(len(block)))
        self.wrong += int(((difference > 0.51 * self.step_mv) & ~_doubtful(block)).sum())
        self.next_place = place + len(block)


@dataclass
class Totals:
    """Samples of all connections that are over: the missing ones, and what of the harmed ones was told."""

    missing: int = 0
    taken: int = 0
    beside: int = 0
    unreported: int = 0
    wrong: int = 0

    def add(self, part: Part, damages: list[Damage]) -> None:
        """Hold a connection's account against the truth."""
        if part.offset is None:
            return
        begin = part.first + part.offset
        n = part.next_place - begin
        missing = _marked(((first - begin, end - begin) for first, end in part.missing), n)
        harmed = {harm: _marked((_reach(d, begin) for d in damages if d.harm is harm), n) for harm in Harm}
        gone, late = harmed[Harm.LOST] | harmed[Harm.ALTERED], harmed[Harm.LATE]
        self.missing += int(missing.sum())
        self.taken += int((missing & (gone | late)).sum())
        self.beside += int((missing & ~gone & ~late).sum())
        self.unreported += int((gone & ~missing).sum())
        self.wrong += part.wrong


def _reach(damage: Damage, begin: int) -> tuple[int, int]:
    """Return what a damage took of a part that begins with a sample: first, and just after the last.

    Where the first packet comes late, it may be taken, and the one that has overtaken it may not.
    """
    first = damage.first - begin
    swapped = damage.harm is Harm.LATE and first <= 0 < first + damage.samples
    return first, first + damage.samples * (1 + swapped)


def _doubtful(block: SampleBlock) -> np.ndarray:
    """Return (n,) bool, True where the device itself says that a sample is none."""
    doubtful = np.zeros(len(block), dtype=bool)
    for flags in (block.lead_off, block.saturated):
        doubtful |= False if flags is None else flags
    return doubtful


def _marked(spans: Iterable[tuple[int, int]], n: int) -> np.ndarray:
    """Return (n,) bool, True within the spans; what lies outside is left out."""
    marks = np.zeros(n, dtype=bool)
    for begin, end in spans:
        marks[max(begin, 0) : max(end, 0)] = True
    return marks


class Watched:
    """A source that is iterated as it is, while every sample in it is held against the truth."""

    def __init__(
        self,
        source: SessionSource,
        signal: FaultySignal,
        truth: Truth,
        fs_hz: float,
        step_mv: float,
        device_time: Callable[[SampleBlock], float],
        until_s: float,
        *,
        runs_on: bool = False,
    ) -> None:
        self.totals = Totals()
        self.part: Part | None = None
        self.connections = 0
        self.holes_s: list[tuple[float, float]] = []
        self.delivered = self.reported = self.dropped = self.interrupted = 0
        self.counted = 0
        self.clock_error_s = 0.0
        self._source, self._signal, self._fs_hz, self._step_mv = source, signal, fs_hz, step_mv
        self._truth, self._runs_on = truth, runs_on
        self._device_time, self._until_s = device_time, until_s
        self._stream = 0
        self._began_s: float | None = None
        self._begun: deque[tuple[float, Part]] = deque(maxlen=8)

    @property
    def info(self) -> SourceInfo:
        """The source's."""
        return self._source.info

    @property
    def counters(self) -> Mapping[str, int]:
        """The source's."""
        return self._source.counters

    def __iter__(self) -> Iterator[SampleBlock | SourceEvent]:
        anew = True
        for item in self._source:
            if isinstance(item, SourceEvent):
                anew = anew or item.event == "reconnected"
                self.dropped += int(item.detail.get("dropped_samples", 0))
            else:
                if anew:
                    self._begin(item)
                anew = False
                assert self.part is not None
                ahead_s = self._device_time(item) - item.end_s
                self._began_s = ahead_s if self._began_s is None else self._began_s
                self.clock_error_s = ahead_s - self._began_s
                self.part.take(item)
                self.delivered += len(item)
                self.reported += item.gap_before
                self.counted += item.gap_before * (item.start_s < self._until_s)
                if item.gap_before:
                    hole_s = (item.start_s - item.gap_before / item.fs_hz, item.start_s)
                    self.holes_s = [*self.holes_s[-50:], hole_s]
            yield item

    def _begin(self, block: SampleBlock) -> None:
        """Settle the connection that is over, and begin another."""
        before = self.part
        self.settle()
        # Its stream is the last that had begun when this arrived.
        stream = self._truth.stream_at(self._device_time(block))
        if before is not None and self._runs_on:
            self.part = before.next(block.first_sample)
        else:
            self.part = Part(block.first_sample, Reservoir(self._signal(self._fs_hz)), self._step_mv)
        self._stream = stream
        self.connections += 1
        self._begun.append((block.start_s, self.part))
        self.interrupted += block.gap_before

    def signal_zero_s(self, time_s: float) -> float:
        """Return when the signal that was delivered at a time began; a connection begins it anew.

        The last windows of a connection come out when the next one has begun already.
        """
        begun_s, part = max((one for one in self._begun if one[0] <= time_s), key=lambda one: one[0])
        assert part.offset is not None, "a whole window of it was decided on"
        return begun_s - (part.first + part.offset) / self.info.fs_hz

    def settle(self) -> Totals:
        """Settle the last connection and return the totals."""
        if self.part is not None:
            streams = [*self._truth.past, self._truth.damages]
            damages = streams[self._stream]
            self.totals.add(self.part, damages)
            # So that the log's memory is flat, too.
            damages[:] = [one for one in damages if one.first >= self.part.next_place]
            self.part = None
        return self.totals

    def close(self) -> None:
        """Close the source."""
        self._source.close()
