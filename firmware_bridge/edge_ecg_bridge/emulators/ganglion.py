"""A virtual OpenBCI Ganglion: each unit that it writes is one Bluetooth LE notification."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..ganglion import wire
from ..stream import FloatArray
from .base import Signal, Unit
from .pace import Pace
from .paced import PacedEmulator

_LIMIT = 1 << 23
_FILL = b"ABCDEFG"  # what firmware 2 puts behind an uncompressed sample


class GanglionEmulator(PacedEmulator):
    """See :class:`edge_ecg_bridge.emulators.Emulator`.

    Parameters
    ----------
    signal:
        The lead at channel 1, each next channel a tenth weaker; asked for at every start command.
    firmware:
        Version that it says; below 3 it sends differences, from 3 on high bits.
    rate_error:
        Relative error of its clock.
    already_streaming:
        Whether it streams from the beginning.
    banner:
        What it says when the link is made.
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
        firmware: tuple[int, int, int] = (3, 0, 1),
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
        self.accelerometer = False
        self._firmware = firmware
        self._deltas = firmware[0] < 3
        self._electrode_off = electrode_off
        self._offset_mv = electrode_offset_mv
        self._reading = [round(g / wire.ACCEL_G_PER_COUNT) & 0xFF for g in acceleration_g]
        self._last = np.zeros(wire.CHANNELS, dtype=np.int64)
        self._waiting: tuple[float, NDArray[np.int64]] | None = None
        self._place = 0
        self._accel_byte = 0
        if banner:
            self._say(banner)

    # -- the emulator protocol -------------------------------------------------------------------------

    def link_lost(self) -> None:
        """Reset, as the board does with every new connection."""
        self._pace.stop()
        self._out.clear()
        self.accelerometer = False

    def receive(self, data: bytes, now_s: float) -> None:
        """Take commands, a byte each."""
        self._sample(now_s)
        for command in data:
            match bytes((command,)):
                case wire.RESET:
                    self._pace.stop()
                    self.accelerometer = False
                    version = ".".join(map(str, self._firmware))
                    self._say(
                        f"OpenBCI Ganglion v{version}\nLIS2DH ID: 0x33\nMCP3912 CONFIG_1: 0xFF\n".encode()
                    )
                case wire.START:
                    self._start(now_s + 1.0 / wire.FS_HZ)
                case wire.STOP:
                    self._pace.stop()
                case wire.ACCELEROMETER_ON | wire.ACCELEROMETER_OFF:
                    self.accelerometer = command == wire.ACCELEROMETER_ON[0]

    # -- notifications ---------------------------------------------------------------------------------

    def _say(self, text: bytes) -> None:
        # All notifications have 20 bytes, so that they can be told apart where they come joined.
        parts = [text[at : at + 19].ljust(19, b"\n") for at in range(0, len(text), 19)]
        for part in parts[:-1]:
            self._out.append(Unit(bytes((wire.TEXT_PART_ID,)) + part))
        self._out.append(Unit(bytes((wire.TEXT_END_ID,)) + parts[-1]))

    def _start(self, first_s: float) -> None:
        self.streams += 1
        self._pace.start(first_s)
        self._place = 0
        self._waiting = None

    def _start_unasked(self, now_s: float) -> None:
        self._start(now_s)

    def _write(self, ecg_mv: FloatArray, first: int) -> None:
        for number, sample_mv in enumerate(ecg_mv.tolist(), first):
            counts = self._convert(sample_mv, number)
            if self._deltas and self._place == 0:
                wide = b"".join((int(count) & 0xFFFFFF).to_bytes(3, "big") for count in counts)
                self._send(bytes((0,)) + wide + _FILL, [sample_mv])
                self._last = counts
            elif self._waiting is None:
                self._waiting = (sample_mv, counts)
            else:
                before_mv, before = self._waiting
                self._waiting = None
                self._send(self._compressed(before, counts), [before_mv, sample_mv])

    def _send(self, data: bytes, ecg_mv: list[float]) -> None:
        self._place = (self._place + 1) % (101 if self._deltas else 100)
        if np.isfinite(ecg_mv).all():
            self._out.append(Unit(data, len(ecg_mv)))

    def _convert(self, ecg_mv: float, number: int) -> NDArray[np.int64]:
        if self._electrode_off is not None and self._electrode_off(number / self._pace.real_hz):
            return np.full(wire.CHANNELS, _LIMIT - 1, dtype=np.int64)
        shares = 1.0 - 0.1 * np.arange(wire.CHANNELS)
        mv = (0.0 if np.isnan(ecg_mv) else ecg_mv) * shares + self._offset_mv
        counts = np.clip(np.rint(mv * 1000.0 / wire.UV_PER_COUNT), -_LIMIT, _LIMIT - 1)
        return np.asarray(counts, dtype=np.int64)

    def _compressed(self, before: NDArray[np.int64], counts: NDArray[np.int64]) -> bytes:
        bits = wire.NARROW_BITS if self.accelerometer else wire.WIDE_BITS
        if self._deltas:
            values = np.concatenate([self._last - before, before - counts])
            self._last = counts
        else:
            values = np.concatenate([before, counts]) >> (wire.SAMPLE_BITS - bits)
        words = values & ((1 << bits) - 2) | (values < 0)  # the sign goes into the lowest bit
        joined = 0
        for word in words.tolist():
            joined = joined << bits | word
        axis = wire.accelerometer_axis(self._place)
        if axis is not None:
            self._accel_byte = self._reading[axis]
        if self.accelerometer:
            return bytes((self._place,)) + joined.to_bytes(18, "big") + bytes((self._accel_byte,))
        return bytes((self._place + 100,)) + joined.to_bytes(19, "big")
