"""A virtual Arduino with a ProtoCentral ADS1292R board and one of its OpenView sketches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..openview.frames import FOOTER, HEADER, TYPE_DATA
from ..stream import FloatArray
from .base import Signal, Unit
from .pace import Pace
from .paced import PacedEmulator

_MV_PER_COUNT_24 = 2420.0 / 12.0 / ((1 << 23) - 1)
_RESPIRATION_HZ = 0.25


class OpenViewEmulator(PacedEmulator):
    """See :class:`edge_ecg_bridge.emulators.Emulator`.

    Parameters
    ----------
    signal:
        The ECG; begins when the host first listens.
    fs_hz, rate_error:
        Nominal rate and its relative error; the chip's oscillator is good to 0.5 %.
    payload_bytes:
        8 as library 2.0 sends (one count is 16 of the converter's), or more, as older ones (256).
    banner:
        What the board says after its reset.
    text_every:
        Prints a line of text after so many frames; 0 for never.
    electrode_off:
        Whether an electrode hangs loose at a time (seconds from the first sample): the frame is then zero.
    electrode_offset_mv:
        Has no effect: the sketch takes the mean away. Here because all boards are made alike.
    loop:
        Begin the signal again when it ends, instead of hanging up.

    """

    def __init__(
        self,
        signal: Signal,
        *,
        fs_hz: float = 125.0,
        rate_error: float = 0.0,
        payload_bytes: int = 8,
        banner: bytes = b"",
        text_every: int = 0,
        electrode_off: Callable[[float], bool] | None = None,
        electrode_offset_mv: float = 0.0,
        loop: bool = False,
    ) -> None:
        pace = Pace(signal, fs_hz, rate_error=rate_error, loop=loop)
        super().__init__(pace, already_streaming=True)
        self.payload_bytes = payload_bytes
        self._count_mv = _MV_PER_COUNT_24 * (16 if payload_bytes == 8 else 256)
        self._text_every = text_every
        self._electrode_off = electrode_off
        if banner:
            self._out.append(Unit(banner))

    def receive(self, data: bytes, now_s: float) -> None:
        """Ignore it: the sketch does not read."""

    def link_lost(self) -> None:
        """Send on: a board does not know who listens."""

    def _start_unasked(self, now_s: float) -> None:
        self._pace.start(now_s)

    def _write(self, ecg_mv: FloatArray, first: int) -> None:
        for number, sample_mv in enumerate(ecg_mv.tolist(), first):
            if np.isfinite(sample_mv):
                self._out.append(Unit(self._frame(sample_mv, number), 1))
            if self._text_every and number % self._text_every == self._text_every - 1:
                self._out.append(Unit(f"frame {number}\r\n".encode()))

    def _frame(self, ecg_mv: float, number: int) -> bytes:
        at_s = number / self._pace.real_hz
        payload = bytes(self.payload_bytes)
        if self._electrode_off is None or not self._electrode_off(at_s):
            count = int(np.clip(round(ecg_mv / self._count_mv), -(1 << 15), (1 << 15) - 1))
            breath = round(400 * np.sin(2 * np.pi * _RESPIRATION_HZ * at_s))
            numbers = (count, breath, 72, 15)
            known = b"".join(value.to_bytes(2, "little", signed=True) for value in numbers)
            payload = known + payload[len(known) :]
        head = HEADER + self.payload_bytes.to_bytes(2, "little") + bytes((TYPE_DATA,))
        return head + payload + FOOTER
