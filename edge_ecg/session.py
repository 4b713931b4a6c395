"""A session: an open source, a model (or none), a recorder (or none), from the start record to the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Protocol

import numpy as np

from edge_ecg_bridge.stream import UNSEEN_LOSS_MS

from .deciding import context_by_task
from .errors import EdgeEcgError
from .model import Model
from .naming import nameless, without_file_name
from .pipeline import Pipeline, utc_now
from .profile import Profile
from .records import DecisionRecord, EndRecord, EventRecord, Record, StartRecord
from .samples import ASIDES, SampleBlock, SourceEvent
from .signal.clock import HostClock
from .signal.losses import RECENT_S, Losses, hole_before
from .signal.rate import RateWatch
from .sources import Address, Source, open_source

MARKER = "marker"


class BlockSink(Protocol):
    """Where a session puts its samples and marks as they come (the recorder)."""

    def write(self, block: SampleBlock) -> None:
        """Take one block."""

    def mark(self, at_s: float, text: str) -> None:
        """Take one mark at a device time."""


class Session:
    """Iterate over it for the start record, events and decisions; :meth:`end` makes the last one.

    Iteration ends when the source does or when ``duration_s`` of device time have passed; ``reason`` then
    says which. A failure of the source propagates; what was decided and recorded until then stays.

    Parameters
    ----------
    source:
        An open source. The session does not close it.
    model:
        None to decide nothing.
    hop_s, notch_hz, profile, context_s:
        As in :class:`~edge_ecg.pipeline.Pipeline`.
    duration_s:
        Seconds of device time, counted from the stream's first sample; None for no end.
    recorder:
        Takes every block, before anything is decided on it, and every mark.

    Attributes
    ----------
    decisions, withheld:
        Windows so far with and without a decision.
    device_s:
        Device time so far.
    reason:
        Why the iteration ended.

    """

    def __init__(
        self,
        source: Source,
        model: Model | None,
        *,
        hop_s: float = 1.0,
        notch_hz: float | None = None,
        profile: Profile | None = None,
        context_s: float | None = None,
        duration_s: float | None = None,
        recorder: BlockSink | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.reason = "source ended"
        self.decisions = 0
        self.withheld = 0
        self.device_s = 0.0
        self._losses = Losses(RECENT_S[-1])
        self._source = source
        self._model = model
        self._hop_s = hop_s
        self._profile = profile
        self._context_s = context_s
        self._recorder = recorder
        self._wall_clock = wall_clock
        info = source.info
        self._duration_s = duration_s
        end_at = getattr(source, "end_at", None)
        if duration_s is not None and end_at is not None:
            end_at(duration_s)
        self._full = False
        self._next_sample: int | None = None
        self._last_s: float | None = None
        self._last_event = ""
        self._pipeline: Pipeline | None = None
        if model is not None:
            self._pipeline = Pipeline(
                model,
                info.fs_hz,
                hop_s=hop_s,
                notch_hz=notch_hz,
                profile=profile,
                context_s=context_s,
                clock=clock,
                wall_clock=wall_clock,
            )
        self._host_clock = HostClock() if self._pipeline is None else self._pipeline.host_clock
        self._rate = RateWatch(info.fs_hz, self._host_clock)

    def __iter__(self) -> Iterator[StartRecord | EventRecord | DecisionRecord]:
        for record in self._records():
            # Counted as it is handed out: what an interrupt cuts off before is neither printed nor counted.
            if isinstance(record, DecisionRecord):
                self.decisions += record.decision is not None
                self.withheld += record.decision is None
            yield record

    def end(self, reason: str | None = None) -> EndRecord:
        """Return the totals; ``reason`` where the session did not end by itself (``interrupted``)."""
        within_10s, within_60s = (self._losses.last(seconds, self.device_s) for seconds in RECENT_S)
        return EndRecord(
            decisions=self.decisions,
            withheld=self.withheld,
            lost_samples=self.lost_samples,
            reason=reason or self.reason,
            lost_10s=within_10s,
            lost_60s=within_60s,
            measured_fs_hz=self._rate.measured_hz,
            counters=getattr(self._source, "counters", {}),
        )

    @property
    def lost_samples(self) -> int:
        """Device samples lost so far."""
        return self._losses.total

    def _records(self) -> Iterator[StartRecord | EventRecord | DecisionRecord]:
        info, model = self._source.info, self._model
        yield StartRecord(
            source=nameless(info.address),
            device=info.device,
            fs_hz=info.fs_hz,
            model=None if model is None else model.name_at_sha,
            engine=None if model is None else model.engine,
            hop_s=self._hop_s,
            profile=None if model is None or self._profile is None else self._profile.name,
            context_s=None if model is None else context_by_task(model, self._context_s),
            personal=() if model is None else tuple(model.personal_heads),
            unseen_loss_ms=_number_or_none(info.details.get(UNSEEN_LOSS_MS)),
        )
        try:
            for item in self._source:
                if isinstance(item, SourceEvent):
                    if item.event not in ASIDES:
                        self._last_event = item.event
                    self._keep(item)
                    yield EventRecord(item.event, self._wall_clock(), item.at_s, item.detail)
                else:
                    yield from self._take(item)
                    if self._full:
                        self.reason = "duration"
                        break
        except EdgeEcgError as error:
            self.reason = without_file_name(error.what, info.address)
            yield from self._flush()
            if self._last_event != "lost":
                yield EventRecord("lost", self._wall_clock(), self.device_s, {"why": self.reason})
            raise
        if getattr(self._source, "over_time", False):
            self.reason = "duration"
        yield from self._flush()

    def _take(self, block: SampleBlock) -> Iterator[EventRecord | DecisionRecord]:
        block = self._within_duration(block)
        if not len(block):
            return
        lost = self._lost_before(block)
        if lost and self._last_event != "gap":
            yield EventRecord("gap", self._wall_clock(), block.start_s, {"lost_samples": lost})
        self._last_event = ""
        first_s, step_s = hole_before(block, lost, self._last_s)
        self._losses.add(first_s, lost, step_s)
        self._next_sample = block.first_sample + len(block)
        self._last_s, self.device_s = block.last_s, block.end_s
        if self._pipeline is None and block.arrived_s is not None:
            self._host_clock.observe(block.end_s, block.arrived_s)
        if self._recorder is not None:
            self._recorder.write(block)
        measured_hz = self._rate.observe(block)
        if measured_hz is not None:
            detail = {"fs_hz": round(block.fs_hz, 3), "measured_fs_hz": round(measured_hz, 3)}
            yield EventRecord("rate", self._wall_clock(), block.end_s, detail)
        if self._pipeline is not None:
            yield from self._pipeline.push(block)

    def _within_duration(self, block: SampleBlock) -> SampleBlock:
        """Return what of a block lies within the session's duration, and note when that is over."""
        if self._duration_s is None:
            return block
        if block.time_s is None:
            count = round(self._duration_s * block.fs_hz) - block.first_sample
            self._full = count <= len(block)
        else:
            count = int(np.searchsorted(block.time_s, self._duration_s, side="left"))
            self._full = count < len(block) or block.end_s >= self._duration_s
        return block.part(0, count)

    def _keep(self, event: SourceEvent) -> None:
        if self._recorder is not None and event.event == MARKER:
            self._recorder.mark(event.at_s, str(event.detail.get("text", "")))

    def _lost_before(self, block: SampleBlock) -> int:
        jump = 0 if self._next_sample is None else block.first_sample - self._next_sample
        return max(jump, block.gap_before)

    def _flush(self) -> Iterator[DecisionRecord]:
        if self._pipeline is not None:
            yield from self._pipeline.flush()


def _number_or_none(value: str | float | None) -> float | None:
    return None if value is None or isinstance(value, str) else value


def decide(
    address: str | Address | Source,
    model: Model,
    *,
    device: str | None = None,
    hop_s: float = 1.0,
    notch_hz: float | None = None,
    profile: Profile | None = None,
    context_s: float | None = None,
    duration_s: float | None = None,
) -> Iterator[Record]:
    """Open a source and yield its records: start, events, decisions and, last, the totals.

    Parameters
    ----------
    address:
        Where samples come from (:mod:`edge_ecg.sources.address`), or a source that is already open; that one
        stays open.
    model:
        What :func:`edge_ecg.load_model` gave.
    device:
        The kind of device; None to find out.
    hop_s:
        Seconds between decisions.
    notch_hz:
        Mains frequency to remove, or None.
    profile:
        A personal baseline (:func:`edge_ecg.profile.load_profile`), or None.
    context_s:
        Seconds over which decisions are averaged; None for what the model says.
    duration_s:
        Seconds of device time after which to stop; None for no end.

    Raises
    ------
    DeviceError, DataError
        When the source fails; the end record, with the reason, comes first.
    UsageError
        When the address or an option makes no sense.
    BundleError
        When the profile belongs to another model.

    """
    owned = isinstance(address, str | Address)
    source = open_source(address, device=device) if isinstance(address, str | Address) else address
    try:
        session = Session(
            source,
            model,
            hop_s=hop_s,
            notch_hz=notch_hz,
            profile=profile,
            context_s=context_s,
            duration_s=duration_s,
        )
        try:
            yield from session
        except EdgeEcgError:
            yield session.end()
            raise
        yield session.end()
    finally:
        if owned:
            source.close()
