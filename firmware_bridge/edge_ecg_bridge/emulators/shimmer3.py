"""A virtual Shimmer3 with the ExG board, from the device's side of LogAndStream.

It obeys its registers as the real one does: gain, reference, powered-down and shorted inputs, saturation at
24 bit, lead-off comparators. One recorded lead feeds all electrodes: LL-RA gets it as it is, LA-RA and
Vx-RL get it scaled.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..shimmer3.crc import crc16_rows, seal
from ..shimmer3.exg import FULL_SCALE, RESET_REGISTERS, ExgRegisters
from ..shimmer3.wire import (
    ACK,
    EXG_UNIFIED_BOARD,
    IN_STREAM_RESPONSE,
    NACK,
    STAMP_MODULUS,
    STATUS_RESPONSE,
    TICK_HZ,
    Channel,
    Command,
    FirmwareId,
    Hardware,
    Response,
    StatusBit,
)
from ..stream import BoolArray, ByteArray, FloatArray
from .base import Reservoir, Signal

# Relative to lead II: chip 1 = LL-RA, LA-RA; chip 2 = nothing, Vx-RL.
_SHARES = ((1.0, 0.5), (0.0, 0.8))
_FIRST_PACKET_S = 0.065
_NEW_CONVERSION = 0x80
_MAX_RATE_HZ = 4096
_CHIPS = (
    (Channel.EXG1_STATUS, Channel.EXG1_CH1, Channel.EXG1_CH2),
    (Channel.EXG2_STATUS, Channel.EXG2_CH1, Channel.EXG2_CH2),
)


class Shimmer3Emulator:
    """See :class:`edge_ecg_bridge.emulators.Emulator`.

    Parameters
    ----------
    signal:
        Lead II; asked for at the rate that the host sets, from its beginning at every start command.
    firmware, kind, hardware, board:
        What it says of itself; commands that its firmware did not know meet silence.
    counter:
        The 32768 Hz counter at time 0.
    electrode_offset_mv:
        Added to every electrode signal, as skin does.
    loss:
        Probability that a packet is dropped.
    unplug_after_s:
        It hangs up this long after the first start of streaming.
    electrode_off:
        Whether the LL electrode hangs loose at a time (seconds from the stream's start).
    loop:
        Begin the signal again when it ends, instead of hanging up.

    """

    def __init__(
        self,
        signal: Signal,
        *,
        firmware: tuple[int, int, int] = (0, 15, 4),
        kind: int = FirmwareId.LOG_AND_STREAM,
        hardware: int = Hardware.SHIMMER3,
        board: tuple[int, int, int] = (EXG_UNIFIED_BOARD, 4, 0),
        counter: int = 0,
        electrode_offset_mv: float = 0.0,
        loss: float = 0.0,
        unplug_after_s: float | None = None,
        electrode_off: Callable[[float], bool] | None = None,
        loop: bool = False,
        seed: int = 0,
    ) -> None:
        self.packets_sent = 0
        self.packets_lost = 0
        self.streaming = False
        self.unplugged = False
        self.recording_over = False
        self.fs_hz = TICK_HZ / 640
        self._signal = signal
        self._firmware, self._kind, self._hardware, self._board = firmware, kind, hardware, board
        self._counter = counter
        self._offset_mv = electrode_offset_mv
        self._loss = loss
        self._unplug_after_s = unplug_after_s
        self._electrode_off = electrode_off
        self._loop = loop
        self._rng = np.random.default_rng(seed)
        self._registers = [bytearray(RESET_REGISTERS), bytearray(RESET_REGISTERS)]
        self._ticks = 640
        self._sensors = b"\0\0\0"
        self._crc_bytes = 0
        self._status_ack = True
        self._in = bytearray()
        self._out = bytearray()
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
        if self._out:
            return -np.inf
        return self._first_s + self._made * self._ticks / TICK_HZ if self.streaming else None

    def link_lost(self) -> None:
        """Stop streaming and fall back to the settings of power-up, as the firmware does."""
        self.streaming = False
        self._crc_bytes = 0
        self._status_ack = True
        self._in.clear()
        self._out.clear()

    def receive(self, data: bytes, now_s: float) -> None:
        """Take commands in any pieces."""
        self._make_packets(now_s)
        self._in += data
        while self._in:
            need = self._arguments()
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
        self._make_packets(now_s)
        if self._unplug_at_s is not None and now_s >= self._unplug_at_s:
            self.unplugged = True
            return b""
        out = bytes(self._out)
        self._out.clear()
        return out

    def send_status(self, bits: int) -> None:
        """Send an unsolicited status message; clearing SENSING also stops the stream."""
        prefix = bytes((ACK,)) if self._status_ack else b""
        second = b"\0" if self._hardware == Hardware.SHIMMER3R else b""
        self._say(prefix + bytes((IN_STREAM_RESPONSE, STATUS_RESPONSE, bits)) + second)
        self.streaming = self.streaming and bool(bits & StatusBit.SENSING)

    # -- commands --------------------------------------------------------------------------------------

    def _knows(self, command: int) -> bool:
        if command == Command.SET_CRC:
            return self._firmware >= (0, 13, 7) or self._hardware == Hardware.SHIMMER3R
        return command != Command.SET_STATUS_ACK or self._firmware >= (0, 15, 4)

    def _arguments(self) -> int | None:
        """Argument bytes of the command at the head of the queue; None for an unknown one."""
        command = self._in[0]
        if command not in set(Command) or not self._knows(command):
            return None
        if command == Command.SET_EXG:
            return 3 + self._in[3] if len(self._in) > 3 else 3
        return {
            Command.SET_RATE: 2,
            Command.SET_SENSORS: 3,
            Command.GET_EXG: 3,
            Command.GET_BOARD: 2,
            Command.SET_CRC: 1,
            Command.SET_STATUS_ACK: 1,
        }.get(Command(command), 0)

    def _say(self, message: bytes) -> None:
        self._out += seal(message, self._crc_bytes)

    def _obey(self, command: int, arguments: bytes, now_s: float) -> None:
        sets = (Command.SET_RATE, Command.SET_SENSORS, Command.SET_EXG)
        if command in sets and (self.streaming or not self._set(command, arguments)):
            self._say(bytes((NACK,)))
            return
        if command == Command.SET_CRC:
            self._crc_bytes = min(arguments[0], 2)
        elif command == Command.SET_STATUS_ACK:
            self._status_ack = bool(arguments[0])
        elif command == Command.STOP:
            self.streaming = False
        self._say(bytes((ACK,)) + self._answer(command, arguments))
        if command == Command.START and not self.streaming:
            self._begin(now_s)

    def _set(self, command: int, arguments: bytes) -> bool:
        if command == Command.SET_RATE:
            ticks = int.from_bytes(arguments, "little")
            if ticks * _MAX_RATE_HZ < TICK_HZ:
                return False
            self._ticks = ticks
            self.fs_hz = TICK_HZ / ticks
        elif command == Command.SET_SENSORS:
            self._sensors = arguments
        else:
            chip, start, count = arguments[:3]
            if chip > 1 or start + count > len(RESET_REGISTERS):
                return False
            self._registers[chip][start : start + count] = arguments[3:]
        return True

    def _answer(self, command: int, arguments: bytes) -> bytes:
        match command:
            case Command.GET_HARDWARE:
                return bytes((Response.HARDWARE, self._hardware))
            case Command.GET_FIRMWARE:
                major, minor, patch = self._firmware
                kind = self._kind.to_bytes(2, "little")
                return (
                    bytes((Response.FIRMWARE,)) + kind + major.to_bytes(2, "little") + bytes((minor, patch))
                )
            case Command.GET_RATE:
                return bytes((Response.RATE,)) + self._ticks.to_bytes(2, "little")
            case Command.GET_EXG:
                chip, start, count = arguments
                found = bytes(self._registers[chip & 1][start : start + count])
                return bytes((Response.EXG, len(found))) + found
            case Command.GET_BOARD:
                found = bytes(self._board)[arguments[1] : arguments[1] + arguments[0]]
                return bytes((Response.BOARD, len(found))) + found
            case Command.INQUIRY:
                config = bytes(7 if self._hardware == Hardware.SHIMMER3R else 4)
                channels = self._channels()
                head = bytes((Response.INQUIRY,)) + self._ticks.to_bytes(2, "little")
                return head + config + bytes((len(channels), 1, *channels))
            case Command.GET_STATUS:
                bits = (StatusBit.SENSING | StatusBit.STREAMING) * self.streaming
                second = b"\0" if self._hardware == Hardware.SHIMMER3R else b""
                return bytes((IN_STREAM_RESPONSE, STATUS_RESPONSE, bits)) + second
        return b""

    # -- packets ---------------------------------------------------------------------------------------

    def _channels(self) -> list[int]:
        chips = [ids for bit, ids in zip((0x10, 0x08), _CHIPS, strict=True) if self._sensors[0] & bit]
        return [channel for ids in chips for channel in ids]

    def _begin(self, now_s: float) -> None:
        self.streaming = True
        if self._unplug_after_s is not None and self._unplug_at_s is None:
            self._unplug_at_s = now_s + self._unplug_after_s
        self._source = Reservoir(self._signal(self.fs_hz))
        self._first_s = now_s + _FIRST_PACKET_S
        self._first_stamp = self._counter + round(self._first_s * TICK_HZ)
        self._made = 0

    def _make_packets(self, now_s: float) -> None:
        if not self.streaming or now_s < self._first_s:
            return
        due = int((now_s - self._first_s) * TICK_HZ / self._ticks + 1e-6) + 1 - self._made
        if due <= 0:
            return
        lead_mv = self._source.take(due)
        if len(lead_mv) < due and self._loop:
            self._source = Reservoir(self._signal(self.fs_hz))
            lead_mv = np.concatenate([lead_mv, self._source.take(due - len(lead_mv))])
        if len(lead_mv) < due:
            self.streaming = False
            self.recording_over = True
        packets = self._packets(lead_mv)
        kept = np.isfinite(lead_mv) & (self._rng.random(len(lead_mv)) >= self._loss)
        self.packets_sent += int(kept.sum())
        self.packets_lost += int((~kept).sum())
        self._out += packets[kept].tobytes()
        self._made += len(lead_mv)

    def _packets(self, lead_mv: FloatArray) -> ByteArray:
        n = len(lead_mv)
        numbers = self._made + np.arange(n)
        stamps = (self._first_stamp + numbers * self._ticks) % STAMP_MODULUS
        columns = [np.zeros(n, dtype=np.uint8)]
        columns += [(stamps >> shift & 0xFF).astype(np.uint8) for shift in (0, 8, 16)]
        for chip, bit in enumerate((0x10, 0x08)):
            if not self._sensors[0] & bit:
                continue
            registers = ExgRegisters(bytes(self._registers[chip]))
            off = self._loose(numbers) if chip == 0 else np.zeros(n, dtype=bool)
            status = np.full(n, _NEW_CONVERSION, dtype=np.uint8)
            if registers.detects_lead_off:
                status |= np.where(off, registers.data[6] & 0x01, 0).astype(np.uint8)
            columns.append(status)
            for channel in (0, 1):
                mv = lead_mv * _SHARES[chip][channel] + self._offset_mv
                if channel == 0:
                    mv = np.where(off, np.inf, mv)
                columns.extend(_convert(mv, registers, channel))
        rows = np.stack(columns, axis=1)
        if self._crc_bytes:
            crc = crc16_rows(rows)
            sums = [(crc & 0xFF).astype(np.uint8), (crc >> 8).astype(np.uint8)][: self._crc_bytes]
            rows = np.concatenate([rows, np.stack(sums, axis=1)], axis=1)
        return rows

    def _loose(self, numbers: NDArray[np.int64]) -> BoolArray:
        if self._electrode_off is None:
            return np.zeros(len(numbers), dtype=bool)
        return np.array([self._electrode_off(n / self.fs_hz) for n in numbers.tolist()], dtype=bool)


def _convert(mv: FloatArray, registers: ExgRegisters, channel: int) -> list[ByteArray]:
    """Do what the ADS1292R does: amplify, convert, saturate; return its three bytes, high one first."""
    raw = np.zeros(len(mv), dtype=np.int32)
    measures = registers.powered(channel) and registers.input(channel) in (0, 7)
    if measures and registers.gain(channel) is not None:
        scaled = np.where(np.isnan(mv), 0.0, mv) / registers.mv_per_count(channel)
        raw = np.clip(np.rint(scaled), -FULL_SCALE - 1, FULL_SCALE).astype(np.int32)
    return [(raw >> shift & 0xFF).astype(np.uint8) for shift in (16, 8, 0)]
