"""From bytes to packets, and from packets to counts, accelerations and the board's time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..counting import CountedFramer
from ..stream import BoolArray, ByteArray, FloatArray
from . import wire

_IS_STAMPED = np.zeros(256, dtype=bool)
_IS_STAMPED[list(wire.STAMPED_FOOTERS)] = True


class CytonFramer(CountedFramer):
    """Finds packets by header, footer and sample number.

    The format has no check sum. Damage that takes away exactly whole packets' lengths from the middle of one
    packet to the middle of another leaves one packet that nothing tells from a good one.
    """

    def __init__(self) -> None:
        super().__init__(wire.PACKET_SIZE, wire.NUMBER_RANGE, lock_rows=3)

    def _well_formed(self, rows: ByteArray) -> BoolArray:
        footer = rows[:, wire.FOOTER_AT]
        well: BoolArray = (rows[:, 0] == wire.HEADER) & (footer >= wire.FIRST_FOOTER)
        well &= footer <= wire.LAST_FOOTER
        return well

    def _numbers(self, rows: ByteArray) -> NDArray[np.int64]:
        return rows[:, 1].astype(np.int64)


def counts(rows: ByteArray, channel: int) -> NDArray[np.int64]:
    """Return the counts (n,) of a channel, 1 to 8."""
    at = 2 + 3 * (channel - 1)
    wide = rows[:, at : at + 3].astype(np.int64)
    raw = wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2]
    return raw - ((raw & 0x800000) << 1)


def to_mv(raw: NDArray[np.int64], gain: int) -> FloatArray:
    """Return millivolts at the electrodes: 4.5 V / gain / (2^23 - 1) a count (ADS1299 sheet, table 7)."""
    mv: FloatArray = raw.astype(np.float64) * (wire.VREF_MV / gain / wire.FULL_SCALE)
    return mv


def clipped(raw: NDArray[np.int64]) -> BoolArray:
    """Whether the converter was at its limit."""
    at_limit: BoolArray = (raw >= wire.FULL_SCALE) | (raw <= -wire.FULL_SCALE - 1)
    return at_limit


def stamps_ms(rows: ByteArray) -> NDArray[np.int64]:
    """Return the board's time in milliseconds (n,), -1 in packets that carry none."""
    wide = rows[:, wire.STAMP_AT : wire.STAMP_AT + 4].astype(np.int64)
    stamps: NDArray[np.int64] = wide[:, 0] << 24 | wide[:, 1] << 16 | wide[:, 2] << 8 | wide[:, 3]
    stamps[~_IS_STAMPED[rows[:, wire.FOOTER_AT]]] = -1
    return stamps


class Accelerometer:
    """Follows the accelerometer, which is read 25 times a second, through the packets.

    Footer C0 carries a whole reading, high bytes first, and zeros where there is no new one; C3 and C4 carry
    one byte of one axis at a time: ``X`` names the high byte of x, ``x`` its low byte.
    """

    def __init__(self) -> None:
        self._now_g = np.full(3, np.nan)
        self._high: dict[int, int] = {}

    def forget(self) -> None:
        """Drop halves of values, because packets were lost."""
        self._high.clear()

    def follow(self, rows: ByteArray) -> FloatArray:
        """Return the latest reading at each packet, (n, 3) in g; NaN before the first."""
        out = np.empty((len(rows), 3))
        aux = rows[:, wire.AUX_AT : wire.FOOTER_AT]
        whole = (rows[:, wire.FOOTER_AT] == wire.ACCEL_FOOTER) & aux.any(axis=1)
        pieces = np.isin(rows[:, wire.FOOTER_AT], wire.STAMPED_ACCEL_FOOTERS)
        begin = 0
        for at in np.flatnonzero(whole | pieces).tolist():
            out[begin:at] = self._now_g
            begin = at
            if whole[at]:
                self._now_g = aux[at].view(">i2") * wire.ACCEL_G_PER_COUNT
            else:
                self._piece(int(aux[at, 0]), int(aux[at, 1]))
        out[begin:] = self._now_g
        return out

    def _piece(self, code: int, value: int) -> None:
        axis = b"XYZ".find(bytes((code,)).upper())
        if axis < 0 or not chr(code).isalpha():
            return
        if chr(code).isupper():
            self._high[axis] = value
        elif axis in self._high:
            raw = self._high.pop(axis) << 8 | value
            self._now_g = self._now_g.copy()
            self._now_g[axis] = (raw - ((raw & 0x8000) << 1)) * wire.ACCEL_G_PER_COUNT
