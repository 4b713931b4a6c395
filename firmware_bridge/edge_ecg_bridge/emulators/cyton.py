"""A virtual OpenBCI Cyton behind its dongle, from the board's side of the serial line.

It obeys the commands of the Cyton SDK that change what is sent. One recorded lead feeds all inputs, each next
channel a tenth weaker; a resting accelerometer is read 25 times a second.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..cyton import wire
from ..stream import ByteArray, FloatArray
from .base import Signal, Unit
from .pace import Pace
from .paced import PacedEmulator

_SAMPLES_A_READING = 10  # of the accelerometer
_AXES = b"XxYyZz"
_FAILURE = b"Failure: Communications timeout - Device failed to poll Host$$$"
_SWITCHES = b"12345678!@#$%^&*qwertyuiQWERTYUI"
_LONG = {ord("x"): 9, ord("z"): 5, 0xF0: 2}


class CytonEmulator(PacedEmulator):
    """See :class:`edge_ecg_bridge.emulators.Emulator`.

    Parameters
    ----------
    signal:
        The lead at channel 1; asked for at every start command.
    firmware:
        Version that it says; before 2.0.0 it knows no time stamps and says no version.
    daisy:
        Whether a Daisy module is attached: 16 channels at half the rate until ``c`` removes it.
    board_on:
        Whether the board is there; else the dongle alone answers.
    counter:
        Number of the first packet.
    clock_ms:
        The board's milliseconds at the first packet.
    rate_error:
        Relative error of its oscillator.
    already_streaming:
        Whether it streams from the beginning, as after a host that has crashed.
    banner:
        What it says when it is switched on.
    electrode_off:
        Whether the electrode hangs loose at a time (seconds from the stream's start): the inputs are then at
        the converter's limit.
    electrode_offset_mv, acceleration_g:
        Added to every input, as skin does; what the accelerometer reads.
    loop:
        Begin the signal again when it ends, instead of hanging up.

    Attributes
    ----------
    streams:
        How often it began to stream, and with it the signal.

    """

    def __init__(
        self,
        signal: Signal,
        *,
        firmware: tuple[int, int, int] = (3, 1, 2),
        daisy: bool = False,
        board_on: bool = True,
        counter: int = 0,
        clock_ms: int = 0,
        rate_error: float = 0.0,
        already_streaming: bool = False,
        banner: bytes = b"",
        electrode_off: Callable[[float], bool] | None = None,
        electrode_offset_mv: float = 0.0,
        acceleration_g: tuple[float, float, float] = (0.0, 0.0, 1.0),
        loop: bool = False,
    ) -> None:
        pace = Pace(signal, wire.FS_HZ, rate_error=rate_error, loop=loop)
        super().__init__(pace, already_streaming=already_streaming)
        self.streams = 0
        self.daisy = daisy
        self.board_on = board_on
        self.stamps = False
        self.gains = [24] * 16
        self.powered = [True] * 16
        self._firmware = firmware
        self._counter = counter
        self._clock_ms = clock_ms
        self._electrode_off = electrode_off
        self._offset_mv = electrode_offset_mv
        self._reading = np.rint(np.array(acceleration_g) / wire.ACCEL_G_PER_COUNT).astype(np.int64)
        self._in = bytearray()
        self._stamp_set = False
        self._last_mv = 0.0
        if banner:
            self._out.append(Unit(banner))

    # -- the emulator protocol -------------------------------------------------------------------------

    def link_lost(self) -> None:
        """Go on: neither dongle nor board know who listens."""

    def receive(self, data: bytes, now_s: float) -> None:
        """Take commands in any pieces."""
        self._sample(now_s)
        self._in += data
        while self._in:
            size = _LONG.get(self._in[0], 1)
            if len(self._in) < size:
                return
            command = bytes(self._in[:size])
            del self._in[:size]
            if self.board_on:
                self._obey(command, now_s)
            else:
                self._say(_FAILURE)

    # -- commands --------------------------------------------------------------------------------------

    def _say(self, text: bytes) -> None:
        if not self.streaming:
            self._out.append(Unit(text))

    def _obey(self, command: bytes, now_s: float) -> None:
        match command[:1]:
            case b"b":
                self._start(now_s + 1.0 / wire.FS_HZ)
            case b"s":
                self._pace.stop()
            case b"v":
                self._reset()
            case b"d":
                self.gains = [24] * 16
                self._say(b"updating channel settings to default$$$")
            case b"D":
                self._say(b"060110$$$")
            case b"x":
                self._set_channel(command)
            case b"z":
                self._say(b"Success: Lead off set for %c$$$" % command[1])
            case b"c" if self.daisy:
                self.daisy = False
                self._say(b"daisy removed$$$")
            case b"C":
                self._say(b"16$$$" if self.daisy else b"no daisy to attach!8$$$")
            case b"<" | b">" if self._firmware >= (2, 0, 0):
                self.stamps = self._stamp_set = command == wire.STAMPS_ON
                self._say(b"Time stamp %s$$$" % (b"ON" if self.stamps else b"OFF"))
            case b"\xf0" if command[1] == 0x07:
                self._say(b"Success: System is Up$$$")
            case switch if switch in _SWITCHES:
                at = _SWITCHES.index(switch)
                self.powered[at % 8 + 8 * (at >= 16)] = 8 <= at < 16 or at >= 24

    def _start(self, first_s: float) -> None:
        self.streams += 1
        self._pace.start(first_s)

    def _reset(self) -> None:
        self._pace.stop()
        self.gains, self.powered = [24] * 16, [True] * 16
        self.stamps = False
        lines = ["OpenBCI V3 8-16 channel", "On Board ADS1299 Device ID: 0x3E"]
        if self.daisy:
            lines.append("On Daisy ADS1299 Device ID: 0x3E")
        lines.append("LIS3DH Device ID: 0x33")
        if self._firmware >= (2, 0, 0):
            lines.append("Firmware: v" + ".".join(map(str, self._firmware)))
        else:
            lines[:2] = ["OpenBCI V3 16 channel", "ADS1299 Device ID: 0x3E"]
        self._say("\r\n".join(lines).encode() + b"\r\n$$$")

    def _set_channel(self, command: bytes) -> None:
        channel = b"12345678QWERTYUI".find(command[1:2])
        gains = {digit.encode(): gain for gain, digit in wire.GAINS.items()}
        if command[8:] != b"X" or channel < 0 or command[3:4] not in gains:
            self._say(b"Failure: 9th char not X$$$")
            return
        self.powered[channel] = command[2:3] == b"0"
        self.gains[channel] = gains[command[3:4]]
        self._say(b"Success: Channel set for %c$$$" % command[1])

    # -- packets ---------------------------------------------------------------------------------------

    def _start_unasked(self, now_s: float) -> None:
        self._start(now_s)

    def _write(self, ecg_mv: FloatArray, first: int) -> None:
        rows = self._packets(ecg_mv, first + np.arange(len(ecg_mv)))
        self._out += [Unit(row.tobytes(), 1) for row in rows[np.isfinite(ecg_mv)]]

    def _packets(self, ecg_mv: FloatArray, index: NDArray[np.int64]) -> ByteArray:
        rows = np.zeros((len(index), wire.PACKET_SIZE), dtype=np.uint8)
        numbers = (self._counter + index) % wire.NUMBER_RANGE
        rows[:, 0], rows[:, 1] = wire.HEADER, numbers
        lead_mv = np.nan_to_num(ecg_mv)
        means_mv = (lead_mv + np.concatenate([[self._last_mv], lead_mv[:-1]])) / 2
        self._last_mv = float(lead_mv[-1])
        loose = self._pace.when(self._electrode_off, index)
        for channel in range(wire.CHANNELS):
            mv, behind = lead_mv, np.full(len(index), channel)
            if self.daisy:
                mv, behind = means_mv, np.where(numbers % 2 == 0, channel + 8, channel)
            share = 1.0 - 0.1 * (behind % 8) - 0.05 * (behind // 8)
            gain = np.array(self.gains)[behind]
            count = np.rint((mv * share + self._offset_mv) * gain * wire.FULL_SCALE / wire.VREF_MV)
            count = np.where(loose, wire.FULL_SCALE, count) * np.array(self.powered)[behind]
            raw = np.clip(count, -wire.FULL_SCALE - 1, wire.FULL_SCALE).astype(np.int64)
            for byte, shift in enumerate((16, 8, 0)):
                rows[:, 2 + 3 * channel + byte] = raw >> shift & 0xFF
        self._fill_aux(rows, index)
        return rows

    def _fill_aux(self, rows: ByteArray, index: NDArray[np.int64]) -> None:
        place = index % _SAMPLES_A_READING
        bytes_be = self._reading.astype(">i2").tobytes()
        if not self.stamps:
            rows[:, wire.FOOTER_AT] = wire.ACCEL_FOOTER
            rows[place == 0, wire.AUX_AT : wire.FOOTER_AT] = np.frombuffer(bytes_be, dtype=np.uint8)
            return
        rows[:, wire.FOOTER_AT] = 0xC4
        if self._stamp_set:
            self._stamp_set = False
            rows[0, wire.FOOTER_AT] = 0xC3
        for piece, code in enumerate(_AXES):
            rows[place == piece, wire.AUX_AT] = code
            rows[place == piece, wire.AUX_AT + 1] = bytes_be[piece]
        since_ms = np.floor(index * 1000.0 / self._pace.real_hz).astype(np.int64)
        stamps = (self._clock_ms + since_ms) % (1 << 32)
        for byte, shift in enumerate((24, 16, 8, 0)):
            rows[:, wire.STAMP_AT + byte] = stamps >> shift & 0xFF
