"""What a view knows of a session: the trace, how good the signal is, and the last decision."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from dataclasses import replace
from typing import NamedTuple

from ..good_windows import GoodWindows
from ..records import DecisionRecord, EndRecord, EventRecord, Record, StartRecord
from ..samples import SampleBlock
from ..session import BlockSink
from ..signal.quality import Reason
from .trace import Stretch, Trace

# Seconds of judgements to keep of a stream: longer than any strip is wide.
_KEPT_S = 600


class Judged(NamedTuple):
    """How good the ten seconds before ``end_s`` are; ``quality`` None where there is no whole window."""

    end_s: float
    heart_rate_bpm: float | None
    quality: float | None
    reasons: tuple[str, ...]


class Watcher:
    """Takes a session's blocks and marks (as its recorder) and its records; asked from another thread.

    Parameters
    ----------
    trace:
        Keeps what is drawn.
    notch_hz:
        As the trace's, for the windows that the quality is judged by.
    recorder:
        Where blocks and marks go on to; None for nowhere.
    begins_s:
        Where in its recording the stream begins; all times are shown from the recording's own beginning.

    Attributes
    ----------
    start, event, end:
        The last record of each kind, or None.

    """

    def __init__(
        self,
        trace: Trace,
        *,
        notch_hz: float | None = None,
        recorder: BlockSink | None = None,
        begins_s: float = 0.0,
    ) -> None:
        self.start: StartRecord | None = None
        self.event: EventRecord | None = None
        self.end: EndRecord | None = None
        kept = None if trace.keep_s is None else _KEPT_S
        self._judged: deque[Judged] = deque(maxlen=kept)
        self._decisions: deque[DecisionRecord] = deque(maxlen=kept)
        self._trace = trace
        self._recorder = recorder
        # Whole samples, so that sample numbers and times stay in step.
        self._begins_sample = round(begins_s * trace.fs_hz)
        self._begins_s = self._begins_sample / trace.fs_hz
        self._good = GoodWindows(trace.fs_hz, notch_hz=notch_hz)
        self._lock = threading.Lock()

    def write(self, block: SampleBlock) -> None:
        """Take one block."""
        if self._recorder is not None:
            self._recorder.write(block)
        block = replace(
            block,
            first_sample=block.first_sample + self._begins_sample,
            time_s=None if block.time_s is None else block.time_s + self._begins_s,
        )
        with self._lock:
            self._trace.write(block)
            for seen in self._good.push(block):
                if seen.reasons == (Reason.WARMING_UP,):
                    continue  # nothing to judge yet
                rate_bpm = None if seen.quality is None else seen.quality.heart_rate_bpm
                score = None if seen.quality is None else seen.quality.score
                self._judged.append(Judged(seen.end_s, rate_bpm, score, seen.reasons))

    def mark(self, at_s: float, text: str) -> None:
        """Take one mark."""
        if self._recorder is not None:
            self._recorder.mark(at_s, text)
        with self._lock:
            self._trace.mark(at_s + self._begins_s, text)

    def record(self, record: Record) -> None:
        """Take one record."""
        if isinstance(record, StartRecord):
            self.start = record
        elif isinstance(record, DecisionRecord):
            start_s, end_s = record.start_s + self._begins_s, record.end_s + self._begins_s
            with self._lock:
                self._decisions.append(replace(record, start_s=start_s, end_s=end_s))
        elif isinstance(record, EndRecord):
            self.end = record
        elif record.event != "connected":
            self.event = record

    def judged(self, at_s: float) -> Judged | None:
        """How good the signal was by then; None before the first ten seconds."""
        with self._lock:
            index = bisect_right(self._judged, at_s, key=lambda one: one.end_s)
            return self._judged[index - 1] if index else None

    def decision(self, at_s: float) -> DecisionRecord | None:
        """The last decision by then, or None."""
        with self._lock:
            index = bisect_right(self._decisions, at_s, key=lambda one: one.end_s)
            return self._decisions[index - 1] if index else None

    @property
    def start_s(self) -> float:
        """Device time of the first sample that is kept."""
        with self._lock:
            return self._trace.start_s

    @property
    def end_s(self) -> float:
        """Device time just after the last sample."""
        return self._trace.end_s

    def stretch(self, from_s: float, to_s: float) -> Stretch:
        """A part of the trace."""
        with self._lock:
            return self._trace.stretch(from_s, to_s)
