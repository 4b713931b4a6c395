"""An LSL stream as a session: stamped values in, samples out; no library, no network, no clock.

The link (:mod:`edge_ecg.sources.lsl_link`) hands each value over with its stamp as sixteen bytes, so that
the same loop reads an LSL stream that reads every other device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edge_ecg_bridge.session_base import SessionBase
from edge_ecg_bridge.stream import BridgeError, Detail, DeviceClock, FloatArray, Ready, Samples

from .lsl_rate import WARM_UP_S, measure_rate
from .lsl_stamps import StampedRun, StampTracker

RECORD = np.dtype([("stamp_s", "<f8"), ("value", "<f8")])
SILENCE_S = 5.0
MIN_FS_HZ, MAX_FS_HZ = 100.0, 4000.0
# A stream that says another rate than its stamps show is measured for longer, and the stamps count.
_LONG_WARM_UP_S = 4.0
_TRUSTED = 0.05
_GIVE_UP_S = 20.0
_LEAST = 64
# What is larger, infinite or not, is no ECG in any unit and would shake every filter behind: no number.
_LARGEST_MV = 1e6


@dataclass(frozen=True, slots=True)
class LslSettings:
    """What the stream's description says of the channel that is read.

    Attributes
    ----------
    nominal_hz:
        The rate that it claims; 0 for one that claims none.
    mv_per_unit:
        Millivolts for a value of 1.
    details:
        For a person: name, channel, host.

    """

    nominal_hz: float
    mv_per_unit: float
    details: Mapping[str, Detail] = field(default_factory=dict)


def pack(stamps_s: FloatArray, values: FloatArray) -> bytes:
    """Return (n,) stamps and (n,) values as the bytes that :class:`LslSession` takes."""
    records = np.empty(len(stamps_s), RECORD)
    records["stamp_s"], records["value"] = stamps_s, values
    return records.tobytes()


class LslSession(SessionBase):
    """Reads one channel of an LSL stream; see :class:`edge_ecg_bridge.stream.Session`.

    It is ready after two seconds, when the stamps have shown the rate; those two seconds are not lost.
    """

    def __init__(self, settings: LslSettings) -> None:
        super().__init__()
        self.settings = settings
        # Stamps are on this machine's LSL clock: they go on across an interruption.
        self.device_clock: DeviceClock | None = None
        self._rest = b""
        self._tracker: StampTracker | None = None
        self._stamps = np.zeros(0)
        self._values = np.zeros(0)
        self._left_out = 0
        self._started_s = self._heard_s = 0.0

    def start(self, now_s: float) -> None:
        """Begin to wait."""
        self._started_s = self._heard_s = now_s

    @property
    def counters(self) -> Mapping[str, int]:
        """Return what was thrown away or is worth knowing.

        ``samples_before_ready`` (before a hole in the first two seconds), and those of
        :class:`edge_ecg.sources.lsl_stamps.StampTracker`.
        """
        return {
            "samples_before_ready": self._left_out,
            **(self._tracker.counters if self._tracker is not None else {}),
        }

    def receive(self, data: bytes, now_s: float) -> None:
        """Take records in any pieces.

        Raises
        ------
        BridgeError
            When the stamps show a rate that is none of an ECG, or no steady one.

        """
        if not data or self.finished:
            return
        self._heard_s = now_s
        data = self._rest + data
        whole = len(data) - len(data) % RECORD.itemsize
        self._rest = data[whole:]
        records = np.frombuffer(data[:whole], RECORD)
        stamps = records["stamp_s"].astype(np.float64)
        values = records["value"] * self.settings.mv_per_unit
        if not np.isfinite(stamps).all():
            raise BridgeError(
                "The LSL stream sends time stamps that are no numbers.",
                remedy="Mend the program that sends it, or record it as a file.",
            )
        values[np.abs(values) > _LARGEST_MV] = np.nan
        if self._tracker is not None:
            self._add(self._tracker.feed(stamps, values, now_s))
        elif len(stamps):
            self._warm_up(stamps, values, now_s)

    def on_time(self, now_s: float) -> None:
        """Let deadlines pass; BridgeError when nothing has come for 5 s, or no steady rate for 20 s."""
        if self.finished:
            return
        if now_s - self._heard_s >= SILENCE_S:
            raise BridgeError(
                f"No sample from the LSL stream for {SILENCE_S:g} s.",
                why="The program that sends it stands still, or the network between is down.",
                remedy="Look at that program and its device, then start again.",
            )
        if self._tracker is None and now_s - self._started_s >= _GIVE_UP_S:
            raise BridgeError(
                f"The LSL stream shows no steady rate within {_GIVE_UP_S:g} s.",
                why="Samples come, but too few, or with holes between them all.",
                remedy="Look at the program that sends it and at its device.",
            )

    def stop(self, now_s: float) -> None:
        """End; what was held back is given out."""
        if self._tracker is not None and not self.finished:
            self._add(self._tracker.flush(now_s))
        self.finished = True

    # -- beginning -------------------------------------------------------------------------------------

    def _warm_up(self, stamps: FloatArray, values: FloatArray, now_s: float) -> None:
        self._stamps = np.concatenate([self._stamps, stamps])
        self._values = np.concatenate([self._values, values])
        nominal = self.settings.nominal_hz
        # How much is looked at follows from the stamps alone, not from the pieces they come in.
        for wanted_s in (WARM_UP_S, _LONG_WARM_UP_S):
            count = self._enough(wanted_s if nominal else _LONG_WARM_UP_S)
            if count is None:
                return
            period_s, scatter_s, left_out = measure_rate(self._stamps[:count])
            if left_out:
                self._left_out += left_out
                held = self._stamps[left_out:], self._values[left_out:]
                self._stamps, self._values = np.zeros(0), np.zeros(0)
                self._warm_up(*held, now_s)
                return
            if not nominal or abs(period_s * nominal - 1.0) <= _TRUSTED or wanted_s == _LONG_WARM_UP_S:
                self._begin(period_s, scatter_s, count, now_s)
                return

    def _enough(self, wanted_s: float) -> int | None:
        """Return how many of the first samples span ``wanted_s``; None when they do not yet."""
        reached = np.flatnonzero(self._stamps - self._stamps[0] >= wanted_s)
        count = max(int(reached[0]) + 1, _LEAST) if len(reached) else 0
        return count if 0 < count <= len(self._stamps) else None

    def _begin(self, period_s: float, scatter_s: float, count: int, now_s: float) -> None:
        nominal = self.settings.nominal_hz
        rate_hz = 1.0 / period_s if period_s > 0.0 else 0.0
        if not MIN_FS_HZ <= rate_hz <= MAX_FS_HZ:
            raise BridgeError(
                f"The LSL stream has {rate_hz:.1f} samples a second.",
                why=f"An ECG needs {MIN_FS_HZ:g} to {MAX_FS_HZ:g}.",
                remedy="Choose another stream; edge-ecg devices lists them.",
            )
        fs_hz = nominal if nominal and abs(rate_hz / nominal - 1.0) <= _TRUSTED else round(rate_hz, 3)
        details = {**self.settings.details, "nominal_hz": nominal, "measured_hz": round(rate_hz, 3)}
        self._events.append(Ready("lsl", fs_hz, details))
        self.device_clock = DeviceClock(float(self._stamps[0]))
        self._tracker = StampTracker(period_s, scatter_s, float(self._stamps[0]), count)
        held, self._stamps, self._values = (self._stamps, self._values), np.zeros(0), np.zeros(0)
        self._add(self._tracker.feed(*held, now_s))

    def _add(self, runs: list[StampedRun]) -> None:
        for run in runs:
            self._events.append(
                Samples(np.asarray(run.values), run.first, run.gap_before, time_s=np.asarray(run.time_s))
            )
