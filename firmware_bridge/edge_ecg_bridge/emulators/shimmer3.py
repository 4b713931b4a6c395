"""A virtual Shimmer3 or Shimmer3R with the ExG board, from the device's side of LogAndStream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..shimmer3.acceleration import ACCELEROMETERS
from ..shimmer3.crc import seal
from ..shimmer3.exg import ExgRegisters, ecg_registers
from ..shimmer3.wire import ACK, NACK, TICK_HZ, Command, StatusBit
from ..stream import BoolArray, ByteArray, FloatArray
from .base import Motion, Reservoir, Signal, Unit, at_rest, joined
from .shimmer3_packets import packet_rows
from .shimmer3_state import ShimmerState

_FIRST_PACKET_S = 0.065
# What a Shimmer that was left streaming was set to: 512 Hz, both chips, no CRC.
_LEFT_TICKS = 64
_LEFT_SENSORS = 0x18
_SETS = (Command.SET_RATE, Command.SET_SENSORS, Command.SET_EXG, Command.SET_NAME)


class Shimmer3Emulator(ShimmerState):
    """See :class:`edge_ecg_bridge.emulators.Emulator`.

    Parameters
    ----------
    signal:
        Lead II; asked for at the rate that the host sets (as far as the crystal is right), from its
        beginning at every start command.
    counter:
        The 32768 Hz counter at time 0.
    rate_error:
        Relative error of its crystal: it samples at (1 + error) times the rate and calls that the rate.
    already_streaming:
        It was left streaming by another host.
    electrode_offset_mv:
        Added to every electrode signal, as skin does.
    electrode_off:
        Whether the LL electrode hangs loose at a time (seconds from the stream's start).
    motion:
        What its accelerometers feel.
    loss:
        Probability that a packet is dropped.
    unplug_after_s:
        It hangs up this long after the first start of streaming.
    loop:
        Begin the signal again when it ends, instead of hanging up.
    state:
        ``firmware``, ``kind``, ``hardware``, ``board``, ``name``, ``calibrated``: see :class:`ShimmerState`.

    """

    def __init__(
        self,
        signal: Signal,
        *,
        counter: int = 0,
        rate_error: float = 0.0,
        already_streaming: bool = False,
        electrode_offset_mv: float = 0.0,
        electrode_off: Callable[[float], bool] | None = None,
        motion: Motion = at_rest,
        loss: float = 0.0,
        unplug_after_s: float | None = None,
        loop: bool = False,
        seed: int = 0,
        **state: Any,
    ) -> None:
        super().__init__(**state)
        self.streams = 0
        self.packets_sent = 0
        self.packets_lost = 0
        self.unplugged = False
        self.recording_over = False
        self._signal = signal
        self._counter = counter
        self._tick_hz = TICK_HZ * (1.0 + rate_error)
        self._left_streaming = already_streaming
        self._offset_mv = electrode_offset_mv
        self._electrode_off = electrode_off
        self._motion = motion
        self._loss = loss
        self._unplug_after_s = unplug_after_s
        self._loop = loop
        self._rng = np.random.default_rng(seed)
        self._in = bytearray()
        self._out: list[Unit] = []
        self._unplug_at_s: float | None = None
        self._source = Reservoir(iter(()))
        self._first_s = 0.0
        self._first_stamp = 0
        self._made = 0

    # -- the emulator protocol -------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether it has hung up."""
        return self.unplugged or (self.recording_over and not self._out)

    @property
    def next_due_s(self) -> float | None:
        """When the next packet is due."""
        if self._out or self._left_streaming:
            return -np.inf
        return self._first_s + self._made / self._real_hz if self.streaming else None

    @property
    def _real_hz(self) -> float:
        """Samples a second of true time."""
        return self._tick_hz / self._ticks

    def link_lost(self) -> None:
        """Stop streaming and fall back to the settings of power-up, as the firmware does."""
        self.streaming = False
        self._left_streaming = False
        self._crc_bytes = 0
        self._status_ack = True
        self._in.clear()
        self._out.clear()

    def receive(self, data: bytes, now_s: float) -> None:
        """Take commands in any pieces."""
        self._make_packets(now_s)
        self._in += data
        while self._in:
            need = self._argument_bytes(bytes(self._in))
            if need is None or len(self._in) < 1 + need:
                if need is not None:
                    return
                del self._in[0]  # an opcode that this firmware does not know: silence
                continue
            command, arguments = self._in[0], bytes(self._in[1 : 1 + need])
            del self._in[: 1 + need]
            self._obey(command, arguments, now_s)

    def bytes_to_send(self, now_s: float) -> bytes:
        """Return what was sent up to now."""
        return joined(self.units(now_s))

    def units(self, now_s: float) -> list[Unit]:
        """Return the same, message by message."""
        self._make_packets(now_s)
        if self._unplug_at_s is not None and now_s >= self._unplug_at_s:
            self.unplugged = True
            return []
        out, self._out = self._out, []
        return out

    def send_status(self, bits: int, *, usb: bool = False) -> None:
        """Send an unsolicited status message; clearing SENSING also stops the stream."""
        prefix = bytes((ACK,)) if self._status_ack else b""
        self._say(prefix + self._status(bits, usb=usb))
        self.streaming = self.streaming and bool(bits & StatusBit.SENSING)

    # -- commands --------------------------------------------------------------------------------------

    def _say(self, message: bytes) -> None:
        self._out.append(Unit(seal(message, self._crc_bytes)))

    def _obey(self, command: int, arguments: bytes, now_s: float) -> None:
        if command in _SETS and (self.streaming or not self._set(command, arguments)):
            self._say(bytes((NACK,)))
            return
        ticks_now = round(now_s * self._tick_hz)
        if command == Command.SET_CRC:
            self._crc_bytes = min(arguments[0], 2)
        elif command == Command.SET_STATUS_ACK:
            self._status_ack = bool(arguments[0])
        elif command == Command.SET_CLOCK:
            self._clock_ticks = int.from_bytes(arguments, "little") - ticks_now
        elif command == Command.STOP:
            self.streaming = False
        self._say(bytes((ACK,)) + self._answer(command, arguments, ticks_now))
        if command == Command.START and not self.streaming:
            self._begin(now_s)

    # -- packets ---------------------------------------------------------------------------------------

    def _begin(self, now_s: float) -> None:
        self.streaming = True
        self.streams += 1
        if self._unplug_after_s is not None and self._unplug_at_s is None:
            self._unplug_at_s = now_s + self._unplug_after_s
        self._source = Reservoir(self._signal(self._real_hz))
        self._first_s = now_s + _FIRST_PACKET_S
        self._first_stamp = self._counter + round(self._first_s * self._tick_hz)
        self._made = 0

    def _begin_as_left(self, now_s: float) -> None:
        self._left_streaming = False
        self._ticks, self.fs_hz = _LEFT_TICKS, TICK_HZ / _LEFT_TICKS
        self._sensors = _LEFT_SENSORS
        self._registers = [bytearray(registers) for registers in ecg_registers(self.fs_hz)]
        self._begin(now_s - _FIRST_PACKET_S)

    def _make_packets(self, now_s: float) -> None:
        if self._left_streaming:
            self._begin_as_left(now_s)
        if not self.streaming or now_s < self._first_s:
            return
        due = int((now_s - self._first_s) * self._real_hz + 1e-6) + 1 - self._made
        if due <= 0:
            return
        lead_mv = self._source.take(due)
        while len(lead_mv) < due and self._loop:
            self._source = Reservoir(self._signal(self._real_hz))
            more = self._source.take(due - len(lead_mv))
            if not len(more):
                break
            lead_mv = np.concatenate([lead_mv, more])
        if len(lead_mv) < due:
            self.streaming = False
            self.recording_over = True
        if not len(lead_mv):
            return
        packets = self._packets(lead_mv)
        kept = np.isfinite(lead_mv) & (self._rng.random(len(lead_mv)) >= self._loss)
        self.packets_sent += int(kept.sum())
        self.packets_lost += int((~kept).sum())
        self._out += [Unit(row.tobytes(), 1) for row in packets[kept]]
        self._made += len(lead_mv)

    def _packets(self, lead_mv: FloatArray) -> ByteArray:
        numbers = self._made + np.arange(len(lead_mv))
        channels = self.channels()
        t_s = numbers / self._real_hz
        return packet_rows(
            channels,
            self._first_stamp + numbers * self._ticks,
            lead_mv + self._offset_mv,
            self._loose(t_s),
            [ExgRegisters(bytes(registers)) for registers in self._registers],
            self._motion_counts(channels, t_s),
            self._crc_bytes,
        )

    def _loose(self, t_s: FloatArray) -> BoolArray:
        if self._electrode_off is None:
            return np.zeros(len(t_s), dtype=bool)
        return np.array([self._electrode_off(at_s) for at_s in t_s.tolist()], dtype=bool)

    def _motion_counts(self, channels: list[int], t_s: FloatArray) -> dict[int, FloatArray]:
        counts: dict[int, FloatArray] = {}
        for which, sensor in ACCELEROMETERS.items():
            if sensor.channels[0] in channels:
                axes = self.calibration(which).to_counts(self._motion(t_s)).T
                counts.update(zip(sensor.channels, axes, strict=True))
        return counts
