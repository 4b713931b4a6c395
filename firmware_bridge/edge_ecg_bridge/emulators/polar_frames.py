"""What a virtual Polar H10 measures: the frames of its ECG and of its accelerometer, with its own clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..polar import pmd
from ..polar.pmd import Measurement
from ..stream import FloatArray
from .base import Reservoir, Signal
from .gatt import Notification

_ACCELERATION_FRAME = 36
_MG_PER_G = 1000.0
_UV_PER_MV = 1000.0


class PolarMeasurements:
    """The measurements of one strap.

    Parameters
    ----------
    signal, motion, rate_hz, frame_samples, counter, clock_steps, loop:
        As :class:`PolarEmulator` has them.

    Attributes
    ----------
    running:
        Measurement -> when it was begun.
    streams:
        How often the ECG was begun.
    first_start_s:
        When that was for the first time; None before.
    acceleration_hz:
        The accelerometer's rate.
    recording_over:
        Whether the signal is.

    """

    def __init__(
        self,
        signal: Signal,
        motion: Callable[[FloatArray], FloatArray],
        *,
        rate_hz: float,
        frame_samples: int,
        counter: int,
        clock_steps: Sequence[tuple[float, float]],
        loop: bool,
    ) -> None:
        self.running: dict[int, float] = {}
        self.streams = 0
        self.first_start_s: float | None = None
        self.acceleration_hz = 0
        self.recording_over = False
        self._signal, self._motion = signal, motion
        self._rate_hz = rate_hz
        self._frame_samples = frame_samples
        self._counter = counter
        self._clock_steps = tuple(clock_steps)
        self._loop = loop
        self._made: dict[int, int] = {}
        self._source = Reservoir(iter(()))

    def begin(self, kind: int, now_s: float) -> None:
        """Begin a measurement; the ECG from its beginning."""
        self.running[kind] = now_s
        self._made[kind] = 0
        if kind == Measurement.ECG:
            self._source = Reservoir(self._signal(self._rate_hz))
            self.streams += 1
            if self.first_start_s is None:
                self.first_start_s = now_s

    def next_due(self) -> tuple[float, int] | None:
        """When the next frame is whole, and of which measurement; None when none runs."""
        return min(((self._frame_end_s(kind), kind) for kind in self.running), default=None)

    def make(self, kind: int, at_s: float) -> Notification | None:
        """Return the frame that is whole at a time; None where the recording has no samples, or its end."""
        return self._ecg(at_s) if kind == Measurement.ECG else self._acceleration(at_s)

    def _frame_end_s(self, kind: int) -> float:
        """When the last sample of a measurement's next frame is measured."""
        begin_s, made = self.running[kind], self._made[kind]
        if kind == Measurement.ECG:
            return begin_s + (made + self._frame_samples) / self._rate_hz
        return begin_s + (made + _ACCELERATION_FRAME) / self.acceleration_hz

    def _stamp(self, at_s: float) -> bytes:
        since_s = at_s - (self.first_start_s or 0.0)
        steps_s = sum(step_s for when_s, step_s in self._clock_steps if since_s >= when_s)
        ticks = self._counter + round(at_s * pmd.TICK_HZ) + round(steps_s * pmd.TICK_HZ)
        return (ticks % pmd.STAMP_MODULUS).to_bytes(8, "little")

    def _ecg(self, at_s: float) -> Notification | None:
        n = self._frame_samples
        ecg_mv = self._source.take(n)
        if len(ecg_mv) < n and self._loop:
            self._source = Reservoir(self._signal(self._rate_hz))
            ecg_mv = np.concatenate([ecg_mv, self._source.take(n - len(ecg_mv))])
        self._made[Measurement.ECG] += n
        if len(ecg_mv) < n:
            self.recording_over = True
            del self.running[Measurement.ECG]
            return None
        if not np.isfinite(ecg_mv).all():
            return None
        microvolts = np.clip(np.rint(ecg_mv * _UV_PER_MV), -(1 << 23), (1 << 23) - 1).astype("<i4")
        samples = microvolts.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
        head = bytes((Measurement.ECG,)) + self._stamp(at_s) + b"\0"
        return Notification(pmd.PMD_DATA, head + samples, n)

    def _acceleration(self, at_s: float) -> Notification:
        kind = Measurement.ACCELERATION
        t_s = (self._made[kind] + 1.0 + np.arange(_ACCELERATION_FRAME)) / self.acceleration_hz
        self._made[kind] += _ACCELERATION_FRAME
        milli_g = np.rint(self._motion(t_s) * _MG_PER_G).astype("<i2")
        head = bytes((kind,)) + self._stamp(at_s) + b"\x01"
        return Notification(pmd.PMD_DATA, head + milli_g.tobytes())
