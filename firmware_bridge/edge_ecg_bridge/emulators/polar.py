"""A virtual Polar H10: measurement service, heart rate, battery."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..gatt import (
    ATT_INSUFFICIENT_AUTHENTICATION,
    BATTERY_LEVEL,
    FIRMWARE_REVISION,
    HEART_RATE,
    short_uuid,
)
from ..heart_rate import HeartRate, heart_rate_value
from ..polar import pmd
from ..polar.pmd import Measurement
from ..stream import FloatArray
from .base import Signal
from .gatt import (
    ATT_READ_NOT_PERMITTED,
    ATT_WRITE_NOT_PERMITTED,
    AttError,
    Notification,
    Service,
)
from .polar_control import PolarControl, services
from .polar_frames import PolarMeasurements

NOMINAL_HZ = 130.0
# Where a strap's clock stands after power-up: 2019-01-01, in nanoseconds since 2000-01-01.
POWER_UP_NS = 599_616_000_000_000_000
FRAME_SAMPLES = 73
_HEART_RATE_S = 1.0
_MOMENT_S = 1e-9


def standing(t_s: FloatArray) -> FloatArray:
    """A body upright and at rest: 1 g along the second axis, and breathing."""
    breath = 0.01 * np.sin(2 * np.pi * 0.25 * t_s)
    return np.stack([breath, np.ones(len(t_s)), breath], axis=1)


class PolarEmulator:
    """See :class:`edge_ecg_bridge.emulators.gatt.GattEmulator`.

    Parameters
    ----------
    signal:
        The ECG; asked for at the real rate, from its beginning at every start.
    motion:
        What its accelerometer feels: (n,) seconds since the start -> (n, 3) g.
    name:
        How it advertises itself.
    rate_error:
        Its real rate is 130 Hz times 1 + this.
    counter:
        Its clock at time 0, nanoseconds since 2000-01-01.
    clock_steps:
        When (seconds since the first start of the ECG) its clock is set, and by how many seconds.
    frame_samples:
        Samples of a frame; 73 where the link carries 232 bytes, 19 where it carries 70.
    already_streaming:
        Whether another program's ECG runs (from time 0) when the host comes.
    old_firmware:
        It has no measurement service.
    needs_pairing:
        It refuses to be used until a bond is made; ``refuses_pairing`` then too.
    statuses:
        (operation, measurement) -> the statuses to answer with, one after the other, before the right ones.
    heart_rate_bpm, contact, battery_percent:
        What its other services say; ``contact`` None as most H10 do.
    electrode_off:
        Whether it hangs loose at a time (seconds from the first start); it then is a strap that tells.
    loop, seed:
        As for the other virtual devices (nothing of it is random).

    Attributes
    ----------
    frames_sent, samples_sent:
        What left it as ECG.
    running:
        The measurements that run.
    streams:
        How often the ECG was begun.
    paired:
        Whether a bond was made.

    """

    def __init__(
        self,
        signal: Signal,
        *,
        motion: Callable[[FloatArray], FloatArray] = standing,
        name: str = "Polar H10 12345678",
        rate_error: float = 0.0,
        counter: int = POWER_UP_NS,
        clock_steps: Sequence[tuple[float, float]] = (),
        frame_samples: int = FRAME_SAMPLES,
        already_streaming: bool = False,
        old_firmware: bool = False,
        needs_pairing: bool = False,
        refuses_pairing: bool = False,
        statuses: Mapping[tuple[int, int], Sequence[int]] | None = None,
        heart_rate_bpm: int = 72,
        contact: bool | None = None,
        electrode_off: Callable[[float], bool] | None = None,
        battery_percent: int = 83,
        loop: bool = False,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.rate_hz = NOMINAL_HZ * (1.0 + rate_error)
        self.services: tuple[Service, ...] = services(old_firmware=old_firmware)
        self.advertised: tuple[str, ...] = (short_uuid(0x180D),)
        self.frames_sent = self.samples_sent = 0
        self.paired = False
        self._measuring = PolarMeasurements(
            signal,
            motion,
            rate_hz=self.rate_hz,
            frame_samples=frame_samples,
            counter=counter,
            clock_steps=clock_steps,
            loop=loop,
        )
        self._needs_pairing, self._refuses_pairing = needs_pairing, refuses_pairing
        self._control = PolarControl(self._measuring, statuses or {})
        self._heart_rate = HeartRate(heart_rate_bpm, (60.0 / heart_rate_bpm,), contact)
        self._electrode_off = electrode_off
        self._battery_percent = battery_percent
        self._subscribed: set[str] = set()
        self._out: list[Notification] = []
        self._heart_rate_s: float | None = None
        if already_streaming:
            self._measuring.begin(Measurement.ECG, 0.0)

    @property
    def fs_hz(self) -> float:
        """The rate that it takes for its own; ``rate_hz`` is the real one."""
        return NOMINAL_HZ

    @property
    def running(self) -> frozenset[int]:
        """The measurements that run."""
        return frozenset(self._measuring.running)

    @property
    def streams(self) -> int:
        """How often the ECG was begun."""
        return self._measuring.streams

    @property
    def recording_over(self) -> bool:
        """Whether its signal is over."""
        return self._measuring.recording_over

    @property
    def ended(self) -> bool:
        """Whether its signal is over."""
        return self.recording_over and not self._out

    @property
    def next_due_s(self) -> float | None:
        """When the next frame is due."""
        if self._out:
            return float("-inf")
        frame = self._measuring.next_due()
        due = [at_s for at_s in (frame and frame[0], self._heart_rate_s) if at_s is not None]
        return min(due, default=None)

    def link_lost(self) -> None:
        """Stop what runs."""
        self._subscribed.clear()
        self._heart_rate_s = None
        self._measuring.running.clear()
        self._out.clear()

    # -- the services ----------------------------------------------------------------------------------

    def pair(self, now_s: float) -> None:
        """Make a bond."""
        if self._refuses_pairing:
            raise AttError(ATT_INSUFFICIENT_AUTHENTICATION)
        self.paired = True

    def read(self, characteristic: str, now_s: float) -> bytes:
        """Return features, battery or firmware."""
        if characteristic == pmd.PMD_CONTROL:
            self._check_bond()
            features = 1 << Measurement.ECG | 1 << Measurement.ACCELERATION
            return bytes((pmd.FEATURES, features)) + bytes(15)
        if characteristic == BATTERY_LEVEL:
            return bytes((self._battery_percent,))
        if characteristic == FIRMWARE_REVISION:
            return b"5.0.0"
        raise AttError(ATT_READ_NOT_PERMITTED)

    def write(self, characteristic: str, data: bytes, now_s: float) -> None:
        """Take a command."""
        if characteristic != pmd.PMD_CONTROL:
            raise AttError(ATT_WRITE_NOT_PERMITTED)
        self._check_bond()
        self._make_frames(now_s)
        self._out.append(Notification(pmd.PMD_CONTROL, self._control.obey(data, now_s)))

    def subscribe(self, characteristic: str, on: bool, now_s: float) -> None:
        """Switch notifications on or off."""
        if characteristic in (pmd.PMD_CONTROL, pmd.PMD_DATA):
            self._check_bond()
        self._make_frames(now_s)
        if on:
            self._subscribed.add(characteristic)
        else:
            self._subscribed.discard(characteristic)
        if characteristic == HEART_RATE:
            self._heart_rate_s = now_s + _HEART_RATE_S if on else None

    def notifications(self, now_s: float) -> list[Notification]:
        """Return what was sent up to now; what nobody subscribed to is not sent."""
        self._make_frames(now_s)
        out, self._out = self._out, []
        sent = [one for one in out if one.characteristic in self._subscribed]
        self.frames_sent += sum(one.samples > 0 for one in sent)
        self.samples_sent += sum(one.samples for one in sent)
        return sent

    def stop_by_itself(self) -> None:
        """End the ECG and say so, as when the strap is put into its charger."""
        self._measuring.running.pop(Measurement.ECG, None)
        self._out.append(Notification(pmd.PMD_CONTROL, bytes((1, Measurement.ECG))))

    def _check_bond(self) -> None:
        if self._needs_pairing and not self.paired:
            raise AttError(ATT_INSUFFICIENT_AUTHENTICATION)

    # -- what it sends ---------------------------------------------------------------------------------

    def _make_frames(self, now_s: float) -> None:
        while True:
            frame = self._measuring.next_due() or (math.inf, -1)
            if self._heart_rate_s is not None and self._heart_rate_s <= min(frame[0], now_s + _MOMENT_S):
                value = heart_rate_value(self._measured(self._heart_rate_s))
                self._out.append(Notification(HEART_RATE, value))
                self._heart_rate_s += _HEART_RATE_S
            elif frame[0] <= now_s + _MOMENT_S:
                made = self._measuring.make(frame[1], frame[0])
                self._out += [made] if made is not None else []
            else:
                return

    def _measured(self, at_s: float) -> HeartRate:
        if self._electrode_off is None:
            return self._heart_rate
        touches = not self._electrode_off(at_s - (self._measuring.first_start_s or 0.0))
        return replace(self._heart_rate, contact=touches)
