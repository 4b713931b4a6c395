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
    """One data packet, not yet decoded.

    Attributes
    ----------
    place:
        Its place in the cycle, from 0.
    counter:
        Number of its first sample within the cycle.
    samples:
        1 or 2.
    bits:
        Of each compressed number; 24 for a whole sample.
    data:
        What stands behind its number.

    """

    place: int
    counter: int
    samples: int
    bits: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a packet says.

    Attributes
    ----------
    counts:
        (samples, 4); None when they cannot be known, because a packet before is missing.
    acceleration_g:
        (3,), the latest reading; NaN where there was none.

    """

    counts: NDArray[np.int64] | None
    acceleration_g: FloatArray


class GanglionDecoder:
    """Reads data packets, then decodes them in their order.

    Parameters
    ----------
    deltas:
        Whether compressed packets hold differences (firmware 1 and 2) or high bits (firmware 3).

    Attributes
    ----------
    cycle, packets:
        Samples, and packets, after which packet numbers repeat.
    packets_rejected, duplicates:
        Packets of wrong length, number or sign bits; packets that came twice in a row.

    """

    def __init__(self, *, deltas: bool) -> None:
        self.cycle = _DELTA_CYCLE if deltas else _HIGH_BITS_CYCLE
        self.packets = (self.cycle + 1) // 2
        self.packets_rejected = 0
        self.duplicates = 0
        self._deltas = deltas
        self._last: NDArray[np.int64] | None = None
        self._previous = b""
        self._acceleration_g = np.full(3, np.nan)

    def read(self, data: bytes) -> Packet | None:
        """Read one notification; None when it is no data packet, or a useless one."""
        if data == self._previous:
            self.duplicates += 1
            return None
        packet = self._parse(data)
        if packet is None:
            self.packets_rejected += 1
            return None
        self._previous = data
        return packet

    def _parse(self, data: bytes) -> Packet | None:
        first_wide, ids = (101, 201) if self._deltas else (100, 200)
        if len(data) != wire.PACKET_SIZE or data[0] >= ids:
            return None
        place = data[0] - 100 if data[0] >= first_wide else data[0]
        if self._deltas and place == 0:
            return Packet(0, 0, 1, wire.SAMPLE_BITS, data[1:])
        bits = wire.WIDE_BITS if data[0] >= first_wide else wire.NARROW_BITS
        if not self._deltas and not _signs_agree(wire.words(data[1:], bits), bits):
            return None
        return Packet(place, 2 * place - self._deltas, 2, bits, data[1:])

    def decode(self, packet: Packet, *, behind_gap: bool) -> Decoded:
        """Decode the next packet; ``behind_gap`` says whether one before it is missing."""
        axis = wire.accelerometer_axis(packet.place) if packet.bits == wire.NARROW_BITS else None
        if axis is not None:
            self._acceleration_g = self._acceleration_g.copy()
            value = packet.data[wire.ACCEL_AT]
            self._acceleration_g[axis] = (value - 256 * (value > 127)) * wire.ACCEL_G_PER_COUNT
        return Decoded(self._counts(packet, behind_gap=behind_gap), self._acceleration_g)

    def _counts(self, packet: Packet, *, behind_gap: bool) -> NDArray[np.int64] | None:
        if packet.bits == wire.SAMPLE_BITS:
            self._last = wire.whole_sample(packet.data)
            return self._last[None, :]
        values = wire.words(packet.data, packet.bits)
        if not self._deltas:
            return values << (wire.SAMPLE_BITS - packet.bits)
        if behind_gap or self._last is None:
            self._last = None  # spoilt until the next whole sample
            return None
        counts: NDArray[np.int64] = self._last - np.cumsum(
            values, axis=0
        )  # what is sent is the last minus the new
        self._last = counts[-1]
        return counts


def _signs_agree(values: NDArray[np.int64], bits: int) -> bool:
    """Whether numbers whose sign is also their highest bit are within the range that this leaves."""
    half = 1 << (bits - 1)
    return bool(((values >= -half) & (values < half)).all())
