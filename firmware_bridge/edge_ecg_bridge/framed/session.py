"""A conversation with a board that speaks our format: ask what it is, let it stream, stop it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..session_base import SessionBase
from ..stream import DeviceClock, Ready
from . import problems
from .finder import FrameFinder
from .info import Info, State
from .order import Placed
from .packets import DataFrame
from .strand import Base, Strand
from .wire import ASK_INFO, START, STOP, FrameType

SILENCE_S = 5.0
_ASK_EVERY_S = 1.0
_BEHIND_S = 2.0
_STOP_S = 1.0
MIN_FS_HZ, MAX_FS_HZ = 100.0, 4000.0


@dataclass(frozen=True, slots=True)
class FramedSettings:
    """What to read.

    Attributes
    ----------
    channel:
        Name or number (from 1) of the channel; empty for the first ECG channel.

    """

    channel: str = ""


class FramedSession(SessionBase):
    """Reads a board that speaks our format; see :class:`edge_ecg_bridge.stream.Session`.

    It is ready when an info frame and two data frames that bear each other out have come. A board that
    restarts is followed; what was lost meanwhile only the host's clock can tell, and it is never 0. Over an
    interruption in which the board ran on, its own count tells.
    """

    def __init__(self, settings: FramedSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or FramedSettings()
        self._finder = FrameFinder()
        self._current: Strand | None = None
        self._offered: Strand | None = None
        self._info: Info | None = None
        self._placed: list[Placed] = []
        self._run_gap = 0
        self._totals = {"packets_rejected": 0, "duplicates": 0, "packets_without_info": 0, "restarts": 0}
        self._seen = bytearray()
        self._asked_s = self._heard_s = self._good_s = self._behind_s = 0.0
        self._stop_deadline_s: float | None = None

    # -- the session protocol --------------------------------------------------------------------------

    def start(self, now_s: float) -> None:
        """Ask the board what it is and let it stream."""
        self._heard_s = self._good_s = self._behind_s = now_s
        self._ask(now_s)

    @property
    def counters(self) -> Mapping[str, int]:
        """Return what was thrown away.

        ``bytes_skipped`` (in no frame), ``packets_rejected`` (wrong CRC, length, time or info),
        ``duplicates`` (twice, too late or backward), ``packets_without_info`` (before their info frame),
        ``restarts``.
        """
        strands = [strand for strand in (self._current, self._offered) if strand]
        rejected = sum(strand.misfits + strand.order.refused for strand in strands)
        behind = sum(strand.order.behind for strand in strands)
        return {
            "bytes_skipped": self._finder.bytes_skipped,
            **self._totals,
            "packets_rejected": self._totals["packets_rejected"] + self._finder.frames_rejected + rejected,
            "duplicates": self._totals["duplicates"] + behind,
        }

    @property
    def device_clock(self) -> DeviceClock | None:
        """The count, or the clock, of the run that is read."""
        return None if self._current is None else self._current.device_clock

    def stop(self, now_s: float) -> None:
        """Ask the board to stop; samples that are under way are still delivered."""
        if self._stop_deadline_s is not None or self.finished:
            return
        self._stop_deadline_s = now_s + _STOP_S
        self._out += STOP
        # A firmware that does not obey will not answer either.
        self.finished = self._info is not None and not self._info.state & State.OBEYS

    def receive(self, data: bytes, now_s: float) -> None:
        """Take bytes from the board.

        Raises
        ------
        BridgeError
            When its rate is none for an ECG, it has no such channel, or it changes its rate on the way.

        """
        if not data or self.finished:
            return
        self._heard_s = now_s
        self._seen = (self._seen + data)[-64:]
        try:
            for kind, payload in self._finder.feed(data):
                if kind == FrameType.INFO:
                    self._take_info(payload)
                else:
                    self._take_data(DataFrame.parse(payload), now_s)
        finally:
            self._deliver()

    def on_time(self, now_s: float) -> None:
        """Let deadlines pass.

        Raises
        ------
        BridgeError
            When no sample came for 5 s, or only such with numbers from before for 2 s: what came instead.

        """
        if self._stop_deadline_s is not None:
            self.finished = self.finished or now_s >= self._stop_deadline_s
            return
        if self._current is None and now_s - self._asked_s >= _ASK_EVERY_S:
            self._ask(now_s)
        quiet_s = now_s - self._good_s
        if self._current is not None and self._behind_s - self._good_s >= _BEHIND_S:
            raise problems.counts_backward()
        if now_s - self._heard_s >= SILENCE_S:
            raise problems.silent(SILENCE_S)
        if quiet_s >= SILENCE_S:
            raise problems.no_samples(self._info, bytes(self._seen), SILENCE_S)

    # -- frames ----------------------------------------------------------------------------------------

    def _ask(self, now_s: float) -> None:
        self._asked_s = now_s
        self._out += ASK_INFO + START

    def _take_info(self, payload: bytes) -> None:
        info = Info.parse(payload)
        if info is None:
            self._totals["packets_rejected"] += 1
            return
        for strand in (self._current, self._offered):
            if strand is None or strand.info.run != info.run:
                continue
            if strand.info.settings != info.settings:
                self._totals["packets_rejected"] += 1  # of one run there is one description
                return
            if strand is self._current or self._current is None:
                self._info = info
                if self._stop_deadline_s is not None and not info.state & State.STREAMING:
                    self.finished = True
            return
        if not MIN_FS_HZ <= info.fs_hz <= MAX_FS_HZ:
            raise problems.impossible_rate(info, MIN_FS_HZ, MAX_FS_HZ)
        self._retire(self._offered)
        self._offered = Strand(info, self._channel(info))
        if self._current is None:
            self._info = info

    def _take_data(self, frame: DataFrame, now_s: float) -> None:
        if self._current is not None and frame.run == self._current.info.run:
            behind = self._current.order.behind
            found = self._current.take(frame)
            if found:
                self._good_s = now_s
                self._placed += found
            elif self._current.order.behind > behind:
                self._behind_s = now_s
        elif self._offered is not None and frame.run == self._offered.info.run:
            found = self._offered.take(frame)
            if found:
                self._deliver()
                self._switch(found, now_s)
        else:
            self._totals["packets_without_info"] += 1

    def _deliver(self) -> None:
        """Read the frames of the current run that have found their places."""
        if self._placed and self._current is not None:
            self._events.extend(self._current.read(self._placed, self._run_gap))
        self._placed, self._run_gap = [], 0

    # -- runs ------------------------------------------------------------------------------------------

    def _switch(self, found: list[Placed], now_s: float) -> None:
        """Begin the run that was offered, with its first frames."""
        before, strand = self._current, self._offered
        assert strand is not None
        gap = 0
        if before is None:
            self._events.append(self._ready(strand))
        else:
            if strand.info.fs_hz != before.info.fs_hz:
                raise problems.other_rate(before.info, strand.info)
            self._totals["restarts"] += 1
            arrived = sum(item.lost + item.samples for item in found)
            gap = max(round((now_s - self._good_s) * strand.info.fs_hz) - arrived, 1)
            strand.base = Base(before.next_sample + gap, before.last_s + (gap + 1) / strand.info.fs_hz)
            self._retire(before)
        self._current, self._offered, self._info = strand, None, strand.info
        self._good_s = now_s
        self._placed, self._run_gap = found, gap

    def _retire(self, strand: Strand | None) -> None:
        """Keep what a run has counted when it is forgotten."""
        if strand is not None:
            self._totals["packets_rejected"] += strand.misfits + strand.order.refused
            self._totals["duplicates"] += strand.order.behind

    def _channel(self, info: Info) -> int:
        """Return the index of the channel to read."""
        wanted = self.settings.channel
        for index, channel in enumerate(info.channels):
            if wanted in (channel.name, str(index + 1)) if wanted else channel.is_ecg:
                return index
        raise problems.no_channel(info, wanted)

    def _ready(self, strand: Strand) -> Ready:
        info = strand.info
        channel = strand.channel
        return Ready(
            "framed",
            info.fs_hz,
            {
                "name": info.name,
                "channel": channel.name,
                "channels": len(info.channels),
                "uv_per_count": channel.mv_per_count * 1000.0,
                "bits": 8 * info.sample_bytes,
                "lead_off": bool(info.state & State.ELECTRODES),
                "accelerometer": info.ug_per_count > 0,
                "rate": "board's oscillator" if info.state & State.EVEN else "board's clock",
            },
        )
