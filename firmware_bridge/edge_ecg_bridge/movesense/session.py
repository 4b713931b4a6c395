"""A whole conversation with a Movesense sensor: subscribe to ECG and acceleration, stream, unsubscribe."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

import numpy as np

from ..acceleration import AccelerationTrack
from ..frame_clock import Frame, FrameClock, Placed
from ..gatt import BATTERY_LEVEL, FIRMWARE_REVISION, Connected, Read, Subscribe, Value, Write
from ..gatt_script import Ask, NoAnswerError, Pause, RefusedError, Script, ScriptRunner, StopScript, asked
from ..stamp_fit import StampFit
from ..stream import BridgeError, Detail, DeviceClock, FloatArray, Ready, Samples
from . import wire

SILENCE_S = 7.0
_ECG, _ACCELERATION = 1, 2
_UNIT_BYTES = {_ECG: 4, _ACCELERATION: 12}
_OK, _NOT_FOUND, _TOO_MANY = 200, 404, 507
# What is tried when nobody asked for a rate: 256 needs no resampling, early firmware knows 250 only.
_USUAL_RATES_HZ = (256, 250)
# The sensor's crystal; a frame may lie off by a millisecond besides.
_RATE_TOLERANCE = 0.02
_STOP_ANSWER_S = 0.7


@dataclass(frozen=True, slots=True)
class MovesenseSettings:
    """What to set up.

    Attributes
    ----------
    fs_hz:
        One of :data:`wire.ECG_RATES_HZ`; None for 256, or 250 where the sensor has not that.
    acceleration_hz:
        One of :data:`wire.ACCELERATION_RATES_HZ`; 0 for none.

    """

    fs_hz: int | None = None
    acceleration_hz: int = 52


class MovesenseSession(ScriptRunner):
    """Drives one sensor; see :class:`edge_ecg_bridge.gatt.GattSession`.

    Stamps are whole milliseconds of the first sample in a packet (which one they mean is not documented:
    taken for the first), so that times come from a line through those of the last ten seconds.
    """

    def __init__(self, settings: MovesenseSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or MovesenseSettings()
        self._reader = wire.PacketReader(_UNIT_BYTES)
        self._acceleration = AccelerationTrack()
        self._acceleration_hz = 0
        self._fs_hz = 0
        self._clock: FrameClock | None = None
        self._fit: StampFit | None = None
        self._first_s: float | None = None
        self._last: Placed | None = None
        self._frames_s = self._heard_s = 0.0

    @property
    def rate_hz(self) -> float:
        """The sensor's real rate, by its own clock; the nominal one until it is known."""
        return self._clock.rate_hz if self._clock is not None else float(self._fs_hz)

    @property
    def device_clock(self) -> DeviceClock | None:
        """The sensor's clock at sample 0; it runs on without a link."""
        if self._last is None or self._first_s is None:
            return None
        return DeviceClock(self._last.shift_s + self._first_s, wire.STAMP_MODULUS / wire.TICK_HZ)

    @property
    def counters(self) -> Mapping[str, int]:
        """``duplicates``, ``packets_rejected`` (damaged), ``packets_late``, ``clock_steps``."""
        clock = self._clock
        return {
            "duplicates": clock.duplicates if clock else 0,
            "packets_rejected": self._reader.packets_rejected,
            "packets_late": self._acceleration.frames_late + (clock.frames_late if clock else 0),
            "clock_steps": clock.clock_steps if clock else 0,
        }

    # -- scripts ---------------------------------------------------------------------------------------

    def _set_up(self, found: Connected) -> Script:
        if wire.COMMAND not in found.characteristics:
            raise BridgeError(
                f"{found.name or 'The device'} is no Movesense sensor that sends over GATT.",
                why="It has no GATT SensorData service.",
                remedy="Update it to firmware 2.3 or later with the Movesense Showcase app.",
            )
        details: dict[str, Detail] = {"name": found.name} if found.name else {}
        if BATTERY_LEVEL in found.characteristics:
            battery = yield from asked(Ask(Read(BATTERY_LEVEL), tries=1))
            if battery:
                details["battery_percent"] = battery[0]
        if FIRMWARE_REVISION in found.characteristics:
            firmware = yield from asked(Ask(Read(FIRMWARE_REVISION), tries=1))
            if firmware:
                details["firmware"] = firmware.decode(errors="replace").strip("\0 ")
        try:
            yield Ask(Subscribe(wire.DATA))
            yield from self._subscribe_ecg()
            if self.settings.acceleration_hz:
                yield from self._subscribe_acceleration(details)
        except RefusedError as refused:
            raise BridgeError(
                "The Movesense sensor does not let itself be used.",
                why=refused.text or f"It answered with the ATT error 0x{refused.code:02X}.",
                remedy="Pair it once (bluetoothctl, then pair ADDRESS), and start again.",
            ) from None
        except NoAnswerError:
            raise BridgeError(
                "The Movesense sensor does not answer.",
                why="The link is too weak, or a phone holds the sensor.",
                remedy="Bring it nearer, close the phone's app, and start again.",
            ) from None
        return Ready("movesense", float(self._fs_hz), details)

    def _tear_down(self) -> StopScript:
        for reference in (_ECG, _ACCELERATION):
            if reference == _ECG or self._acceleration_hz:
                yield from asked(_command(wire.unsubscribe(reference), reference, _STOP_ANSWER_S, tries=1))

    def _subscribe_ecg(self) -> Generator[Ask | Pause, bytes, None]:
        rates = (self.settings.fs_hz,) if self.settings.fs_hz else _USUAL_RATES_HZ
        status = 0
        for rate in rates:
            # Data may come in one go with the answer.
            self._fs_hz = rate
            answer = yield _command(wire.subscribe(_ECG, f"/Meas/ECG/{rate}"), _ECG)
            status = wire.status_of(answer)
            if status != _NOT_FOUND:
                break
        if status != _OK:
            raise _refused(status, self._fs_hz)
        self._clock = FrameClock(
            self._fs_hz,
            tolerance=_RATE_TOLERANCE,
            tick_hz=wire.TICK_HZ,
            modulus=wire.STAMP_MODULUS,
            marks_last=False,
            loses_parts=True,
        )
        self._fit = StampFit(self._fs_hz)

    def _subscribe_acceleration(self, details: dict[str, Detail]) -> Generator[Ask | Pause, bytes, None]:
        """Subscribe to the accelerometer; an ECG without it is better than none."""
        rate = self.settings.acceleration_hz
        answer = yield _command(wire.subscribe(_ACCELERATION, f"/Meas/Acc/{rate}"), _ACCELERATION)
        if wire.status_of(answer) == _OK:
            self._acceleration_hz = rate
            details["acceleration_hz"] = rate
        else:
            details["acceleration"] = f"none: the sensor answered {wire.status_of(answer)}"

    # -- the stream ------------------------------------------------------------------------------------

    def _value(self, value: Value, now_s: float) -> None:
        self._heard_s = now_s
        if value.characteristic != wire.DATA:
            return
        for packet in self._reader.feed(value.data):
            if packet.reference == _ACCELERATION:
                self._accelerate(packet)
                continue
            assert self._clock is not None
            self._frames_s = now_s
            frame = Frame(packet.stamp_ms, wire.ecg_mv(packet.values), now_s, packet.values)
            for placed in self._clock.place(frame):
                self._deliver(placed)

    def _accelerate(self, packet: wire.Packet) -> None:
        values_g = wire.acceleration_g(packet.values)
        if not self._acceleration_hz or not np.isfinite(values_g).all():
            return
        ahead_s = np.arange(float(len(values_g))) / self._acceleration_hz
        self._acceleration.add(packet.stamp_ms / wire.TICK_HZ + ahead_s, values_g)

    def _deliver(self, placed: Placed) -> None:
        assert self._fit is not None
        n = len(placed.frame.ecg_mv)
        self._fit.add(placed.first_sample, placed.stamp_s)
        times_s = self._fit.times_s(placed.first_sample, n)
        if self._first_s is None:
            self._first_s = float(times_s[0])
        self._last = placed
        self._events.append(
            Samples(
                placed.frame.ecg_mv,
                placed.first_sample,
                placed.gap_before,
                time_s=times_s - self._first_s,
                acceleration_g=self._readings(times_s + placed.shift_s),
            )
        )

    def _readings(self, device_s: FloatArray) -> FloatArray | None:
        return self._acceleration.at(device_s) if self._acceleration_hz else None

    def _through(self, ready: Ready | None, now_s: float) -> None:
        self._heard_s = self._frames_s = now_s
        super()._through(ready, now_s)

    def _watch(self, now_s: float) -> None:
        if now_s - self._frames_s < SILENCE_S:
            return
        in_range = now_s - self._heard_s < SILENCE_S
        raise BridgeError(
            f"No ECG from the Movesense sensor for {SILENCE_S:g} s.",
            why="It is in range and sends other data." if in_range else "It is out of range or taken off.",
            remedy="Put it on, bring it nearer, and start again.",
        )


def _command(data: bytes, reference: int, timeout_s: float = 5.0, tries: int = 2) -> Ask:
    return Ask(
        Write(wire.COMMAND, data),
        reply=lambda value: wire.is_response(value, reference),
        reply_on=wire.DATA,
        timeout_s=timeout_s,
        tries=tries,
    )


def _refused(status: int, rate: int) -> BridgeError:
    if status == _NOT_FOUND:
        rates = ", ".join(map(str, wire.ECG_RATES_HZ))
        return BridgeError(
            f"The Movesense sensor has no ECG at {rate} Hz.",
            why="It answered 404.",
            remedy=f"Choose one of {rates} Hz with ?rate=, or update its firmware.",
        )
    if status == _TOO_MANY:
        return BridgeError(
            "The Movesense sensor takes no more subscriptions.",
            why="It answered 507: other programs use it.",
            remedy="Close them, or take the sensor off its strap and put it on again.",
        )
    return BridgeError(
        "The Movesense sensor does not start its ECG.",
        why=f"It answered {status}.",
        remedy="Take it off its strap, put it on again, and start again.",
    )
