"""A virtual BITalino (r)evolution, from the device's side of its Bluetooth serial line."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..bitalino import wire
from ..stream import ByteArray, FloatArray
from .base import Signal, Unit
from .pace import Pace
from .paced import PacedEmulator

_RATES_HZ = (1, 10, 100, 1000)


class BitalinoEmulator(PacedEmulator):
    """See :class:`edge_ecg_bridge.emulators.Emulator`.

    Parameters
    ----------
    signal:
        The lead at input A2; A1, A3 and on get it a tenth weaker for each step away from A2.
    firmware:
        Version that it says.
    counter:
        Sequence number of the first frame.
    rate_error:
        Relative error of its clock.
    already_streaming:
        Whether it streams A1 to A6 at 1000 Hz from the beginning, as after a host that has crashed.
    electrode_off:
        Whether the electrode hangs loose at a time (seconds from the stream's start): the input is then at
        the supply.
    electrode_offset_mv:
        Added to every input, as skin does.
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
        firmware: tuple[int, int] = (5, 2),
        counter: int = 0,
        rate_error: float = 0.0,
        already_streaming: bool = False,
        electrode_off: Callable[[float], bool] | None = None,
        electrode_offset_mv: float = 0.0,
        loop: bool = False,
    ) -> None:
        self.fs_hz = 1000
        pace = Pace(signal, float(self.fs_hz), rate_error=rate_error, loop=loop)
        super().__init__(pace, already_streaming=already_streaming)
        self.streams = 0
        self.channels: tuple[int, ...] = ()
        self._signal, self._loop = signal, loop
        self._firmware = firmware
        self._counter = counter
        self._rate_error = rate_error
        self._electrode_off = electrode_off
        self._offset_mv = electrode_offset_mv

    # -- the emulator protocol -------------------------------------------------------------------------

    def link_lost(self) -> None:
        """Stop sending, as the firmware does when Bluetooth reports a lost link."""
        self._pace.stop()
        self._out.clear()

    def receive(self, data: bytes, now_s: float) -> None:
        """Take commands, a byte each."""
        self._sample(now_s)
        for command in data:
            if self.streaming:
                if command == wire.STOP[0]:
                    self._pace.stop()
            elif command == wire.GET_VERSION[0]:
                major, minor = self._firmware
                self._out.append(Unit(f"BITalino_v{major}.{minor}\n".encode()))
            elif command & 0x03 == 0x03 and not command & 0x3C:
                self.fs_hz = _RATES_HZ[command >> 6]
            elif command & 0x03 == 0x01 and command >> 2:
                self._start(tuple(c for c in range(1, 7) if command >> (c + 1) & 1), now_s)

    # -- frames ----------------------------------------------------------------------------------------

    def _start(self, channels: tuple[int, ...], now_s: float) -> None:
        self.streams += 1
        self.channels = channels
        self._pace = Pace(self._signal, float(self.fs_hz), rate_error=self._rate_error, loop=self._loop)
        self._pace.start(now_s + 1.0 / self.fs_hz)

    def _start_unasked(self, now_s: float) -> None:
        self._start((1, 2, 3, 4, 5, 6), now_s)

    def _write(self, ecg_mv: FloatArray, first: int) -> None:
        rows = self._frames(ecg_mv, first + np.arange(len(ecg_mv)))
        self._out += [Unit(row.tobytes(), 1) for row in rows[np.isfinite(ecg_mv)]]

    def _frames(self, ecg_mv: FloatArray, index: NDArray[np.int64]) -> ByteArray:
        size = wire.frame_size(len(self.channels))
        word = ((self._counter + index) % wire.SEQUENCE_RANGE).astype(np.uint64) << np.uint64(8)
        used = 12
        loose = self._pace.when(self._electrode_off, index)
        for place, channel in enumerate(self.channels):
            bits = wire.bits_of(place)
            mv = np.nan_to_num(ecg_mv) * (1.0 - 0.1 * abs(channel - 2)) + self._offset_mv
            count = np.rint((np.where(loose, np.inf, mv) * wire.GAIN / wire.VREF_MV + 0.5) * (1 << bits))
            count = np.clip(count, 0, (1 << bits) - 1).astype(np.uint64)
            word = word << np.uint64(bits) | count
            used += bits
        word <<= np.uint64(8 * size - used)
        rows = np.stack([(word >> np.uint64(8 * n)).astype(np.uint8) for n in range(size)], axis=1)
        rows[:, -1] |= wire.crc(rows)
        return rows
