"""A whole conversation with a Polar H10: set up, stream ECG and acceleration, stop."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from ..acceleration import AccelerationTrack
from ..frame_clock import Frame, FrameClock, Placed
from ..gatt import BATTERY_LEVEL, HEART_RATE, Connected, Note, Value, Write
from ..gatt_script import Ask, Script, ScriptRunner, StopScript, asked
from ..heart_rate import read_heart_rate
from ..stream import BridgeError, Detail, DeviceClock, FloatArray, Ready, Samples
from . import pmd
from .frames import FrameError, RawFrame, acceleration_g, ecg_uv, split
from .pmd import Measurement, Operation
from .setup import NOMINAL_HZ, PolarSettings, Setup, Started

SILENCE_S = 7.0
# Vendor: 130 Hz +-2 % from 20 to 40 degrees, +-5 % in the cold and the heat.
_RATE_TOLERANCE = 0.06
# The strap measures +-20 mV.
_RANGE_MV = 20.0
_UV_PER_MV = 1000.0
_STOP_ANSWER_S = 0.7
_MAX_NOTES = 64


class PolarSession(ScriptRunner):
    """Drives one strap; see :class:`edge_ecg_bridge.gatt.GattSession`.

    Samples carry the device's own time: those of one frame are spread over the time since the frame before.
    A strap that tells whether it touches skin (most H10 do not) has its samples marked by that.

    Parameters
    ----------
    settings:
        What to set up.

    """

    def __init__(self, settings: PolarSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or PolarSettings()
        self._setup = Setup(self.settings)
        self._started = Started()
        self._clock = FrameClock(
            NOMINAL_HZ,
            tolerance=_RATE_TOLERANCE,
            tick_hz=pmd.TICK_HZ,
            modulus=pmd.STAMP_MODULUS,
            marks_last=True,
        )
        self._acceleration = AccelerationTrack()
        self._last: Placed | None = None
        self._first_s = 0.0
        self._contact: bool | None = None
        self._rejected = 0
        self._unknown: set[str] = set()
        # Nobody need ask for them: only the latest are kept.
        self._notes: deque[Note] = deque(maxlen=_MAX_NOTES)
        self._heard_s = 0.0
        self._frames_s = 0.0

    @property
    def rate_hz(self) -> float:
        """The strap's real rate, by its own clock; 130 until it is known."""
        return self._clock.rate_hz

    def notes(self) -> list[Note]:
        """Return what the strap said beside its ECG since the last call: ``heart_rate``, ``battery``."""
        notes = list(self._notes)
        self._notes.clear()
        return notes

    @property
    def device_clock(self) -> DeviceClock | None:
        """The strap's clock at sample 0, by what it is set to now; it runs on without a link."""
        return None if self._last is None else DeviceClock(self._last.shift_s + self._first_s)

    @property
    def counters(self) -> Mapping[str, int]:
        """``duplicates``, ``packets_rejected`` (damaged), ``packets_late``, ``clock_steps``."""
        return {
            "duplicates": self._clock.duplicates,
            "packets_rejected": self._rejected,
            "packets_late": self._clock.frames_late + self._acceleration.frames_late,
            "clock_steps": self._clock.clock_steps,
        }

    # -- scripts ---------------------------------------------------------------------------------------

    def _set_up(self, found: Connected) -> Script:
        self._started = yield from self._setup.steps(found)
        return Ready("polar-h10", float(NOMINAL_HZ), self._started.details)

    def _tear_down(self) -> StopScript:
        """Stop both streams, always: a strap that is left streaming stays on until its battery is empty."""
        for kind in (Measurement.ECG, Measurement.ACCELERATION):
            if kind == Measurement.ECG or self.settings.acceleration_hz:
                yield from asked(_stop(kind))

    # -- the stream ------------------------------------------------------------------------------------

    def _value(self, value: Value, now_s: float) -> None:
        self._heard_s = now_s
        if value.characteristic == pmd.PMD_DATA:
            self._frame(value.data, now_s)
        elif value.characteristic == pmd.PMD_CONTROL:
            if Measurement.ECG in pmd.stopped_measurements(value.data) and self._stop_deadline_s is None:
                raise _stopped()
        elif value.characteristic == HEART_RATE:
            self._note_heart_rate(value.data)
        elif value.characteristic == BATTERY_LEVEL and value.data:
            self._notes.append(Note("battery", {"battery_percent": value.data[0]}))

    def _frame(self, data: bytes, now_s: float) -> None:
        if not self._setup.listening:
            return
        try:
            raw = split(data)
            if raw.measurement == Measurement.ECG:
                frame = Frame(raw.stamp_ns, ecg_uv(raw) / _UV_PER_MV, now_s, data)
                self._frames_s = now_s
                for placed in self._clock.place(frame):
                    self._deliver(placed)
            else:
                self._accelerate(raw)
        except FrameError as error:
            self._rejected += 1
            if error.unknown:
                self._unknown = {*self._unknown, str(error)} if len(self._unknown) < 4 else self._unknown

    def _accelerate(self, raw: RawFrame) -> None:
        values_g = acceleration_g(raw, self._started.acceleration_factor)
        period_s = 1.0 / max(self._started.acceleration_hz, 1)
        back_s = period_s * np.arange(len(values_g) - 1.0, -1.0, -1.0)
        self._acceleration.add(raw.stamp_ns / pmd.TICK_HZ - back_s, values_g)

    def _deliver(self, placed: Placed) -> None:
        ecg_mv = placed.frame.ecg_mv
        n = len(ecg_mv)
        spacing_s = 1.0 / self._clock.rate_hz
        if self._last is not None and not placed.gap_before:
            spacing_s = (placed.stamp_s - self._last.stamp_s) / n
        if self._last is None:
            self._first_s = placed.stamp_s - (n - 1) * spacing_s
        times_s = placed.stamp_s - spacing_s * np.arange(n - 1.0, -1.0, -1.0)
        self._last = placed
        self._events.append(
            Samples(
                ecg_mv,
                placed.first_sample,
                placed.gap_before,
                lead_off=None if self._contact is None else np.full(n, not self._contact),
                saturated=np.abs(ecg_mv) >= _RANGE_MV,
                time_s=times_s - self._first_s,
                acceleration_g=self._readings(times_s + placed.shift_s),
            )
        )

    def _readings(self, device_s: FloatArray) -> FloatArray | None:
        return self._acceleration.at(device_s) if self._started.acceleration_hz else None

    def _note_heart_rate(self, data: bytes) -> None:
        measured = read_heart_rate(data)
        if measured is None:
            self._rejected += 1
            return
        values: dict[str, Detail] = {"heart_rate_bpm": measured.heart_rate_bpm}
        if measured.rr_s:
            values["rr_ms"] = " ".join(f"{interval_s * 1000.0:.0f}" for interval_s in measured.rr_s)
        self._contact = measured.contact
        if measured.contact is not None:
            values["contact"] = measured.contact
        self._notes.append(Note("heart_rate", values))

    def _through(self, ready: Ready | None, now_s: float) -> None:
        self._heard_s = self._frames_s = now_s
        super()._through(ready, now_s)

    def _watch(self, now_s: float) -> None:
        if now_s - self._frames_s < SILENCE_S:
            return
        if self._unknown:
            raise BridgeError(
                "The strap sends its ECG in a form that edge-ecg does not know.",
                why=" ".join(sorted(self._unknown)),
                remedy="Use a Polar H10, or report the product and its firmware.",
            )
        if now_s - self._heard_s < SILENCE_S:
            raise BridgeError(
                f"The strap sends no ECG for {SILENCE_S:g} s, but is in range.",
                why="Another program may have stopped the measurement.",
                remedy="Close other programs and the phone's app, and start again.",
            )
        raise BridgeError(
            f"Nothing from the strap for {SILENCE_S:g} s.",
            why="It is out of range, was taken off, or its battery is empty.",
            remedy="Wet the electrodes, put it on, bring it nearer, and start again.",
        )


def _stop(kind: int) -> Ask:
    return Ask(
        Write(pmd.PMD_CONTROL, pmd.stop(kind)),
        reply=lambda value: pmd.is_response(value, Operation.STOP, kind),
        reply_on=pmd.PMD_CONTROL,
        timeout_s=_STOP_ANSWER_S,
        tries=1,
    )


def _stopped() -> BridgeError:
    return BridgeError(
        "The strap stopped its ECG by itself.",
        why="It was taken off, put into its charger, or another program stopped it.",
        remedy="Put it on and start again.",
    )
