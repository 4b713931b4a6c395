"""From notifications to counts: a cycle of packets a second, differences or high bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..stream import FloatArray
from . import wire

_DELTA_CYCLE = 201  # samples: one whole, then a hundred packets of two differences
_HIGH_BITS_CYCLE = 200


@dataclass(frozen=True, slots=True)
class Packet:
    """One data packet.

    Attributes
    ----------
    counter:
        Number of its first sample within the cycle.
    samples:
        1 or 2.
    counts:
        (samples, 4); None when they cannot be known, because a packet before is missing.
    acceleration_g:
        (3,), the latest reading; NaN where there was none.

    """

    counter: int
    samples: int
    counts: NDArray[np.int64] | None
    acceleration_g: FloatArray


class GanglionDecoder:
    """Decodes data packets in the order of their coming.

    Parameters
    ----------
    deltas:
        Whether compressed packets hold differences (firmware 1 and 2) or high bits (firmware 3).

    Attributes
    ----------
    cycle:
        Samples after which packet numbers repeat.
    packets_rejected, duplicates:
        Packets of wrong length, number or sign bits; packets that came twice in a row.

    """

    def __init__(self, *, deltas: bool) -> None:
        self.cycle = _DELTA_CYCLE if deltas else _HIGH_BITS_CYCLE
        self.packets_rejected = 0
        self.duplicates = 0
        self._deltas = deltas
        self._last: NDArray[np.int64] | None = None
        self._expected = -1
        self._previous = b""
        self._acceleration_g = np.full(3, np.nan)

    def feed(self, data: bytes) -> Packet | None:
        """Decode one notification; None when it is no data packet, or a useless one."""
        if data == self._previous:
            self.duplicates += 1
            return None
        first_wide = 101 if self._deltas else 100
        if len(data) != wire.PACKET_SIZE or data[0] > (wire.LAST_DATA_ID if self._deltas else 199):
            self.packets_rejected += 1
            return None
        self._previous = data
        place = data[0] - 100 if data[0] >= first_wide else data[0]
        if self._deltas and place == 0:
            return self._whole(data)
        bits = wire.WIDE_BITS if data[0] >= first_wide else wire.NARROW_BITS
        axis = wire.accelerometer_axis(place) if bits == wire.NARROW_BITS else None
        values = wire.words(data[1:], bits)
        if not self._deltas and not _signs_agree(values, bits):
            self.packets_rejected += 1
            return None
        if axis is not None:
            self._acceleration_g = self._acceleration_g.copy()
            self._acceleration_g[axis] = int(np.int8(data[wire.ACCEL_AT] - 256 * (data[wire.ACCEL_AT] > 127)))
            self._acceleration_g[axis] *= wire.ACCEL_G_PER_COUNT
        if self._deltas:
            return self._difference(2 * place - 1, values)
        return Packet(2 * place, 2, values << (wire.SAMPLE_BITS - bits), self._acceleration_g)

    def _whole(self, data: bytes) -> Packet:
        wide = np.frombuffer(data[1:13], dtype=np.uint8).reshape(wire.CHANNELS, 3).astype(np.int64)
        raw = wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2]
        self._last = raw - ((raw & 0x800000) << 1)
        self._expected = 1
        return Packet(0, 1, self._last[None, :], self._acceleration_g)

    def _difference(self, counter: int, values: NDArray[np.int64]) -> Packet:
        counts: NDArray[np.int64] | None = None
        if self._last is not None and counter == self._expected:
            counts = self._last - np.cumsum(values, axis=0)  # the board sends the last minus the new
            self._last = counts[-1]
        else:
            self._last = None  # spoilt until the next whole sample
        self._expected = (counter + 2) % self.cycle
        return Packet(counter, 2, counts, self._acceleration_g)


def _signs_agree(values: NDArray[np.int64], bits: int) -> bool:
    """Whether numbers whose sign is also their highest bit are within the range that this leaves."""
    half = 1 << (bits - 1)
    return bool(((values >= -half) & (values < half)).all())
