"""The BITalino's bytes: commands, frames and what their bits mean.

Read backwards, from its last byte to its first, a frame is one row of bits: a 4-bit sequence number, a 4-bit
CRC, four digital inputs, up to four channels of 10 bits, then up to two of 6 bits, then filling.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..counting import CountedFramer
from ..stream import BoolArray, ByteArray, FloatArray

MAX_CHANNELS = 6
SEQUENCE_RANGE = 16
WIDE_BITS, NARROW_BITS = 10, 6
_WIDE_CHANNELS = 4
_HEAD_BITS = 12
_POLYNOMIAL = 0x13  # x^4 + x + 1

STOP = b"\x00"
GET_VERSION = b"\x07"
RATE_CODES = {1: 0, 10: 1, 100: 2, 1000: 3}
VREF_MV, GAIN = 3300.0, 1100.0

_VERSION = re.compile(rb"BITalino_v(\d+)\.(\d+)")


def rate_command(fs_hz: int) -> bytes:
    """Return the command that sets the sampling rate."""
    return bytes((RATE_CODES[fs_hz] << 6 | 0x03,))


def start_command(channels: tuple[int, ...]) -> bytes:
    """Return the command that starts live mode with some of the channels 1 to 6."""
    return bytes((0x01 | sum(1 << (channel + 1) for channel in channels),))


def parse_version(text: bytes) -> tuple[int, int] | None:
    """Find ``BITalino_v5.2`` and the like in what was said; None when it is not there."""
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2])) if found else None


def frame_size(channels: int) -> int:
    """Return the bytes of a frame with 1 to 6 channels."""
    narrow = max(channels - _WIDE_CHANNELS, 0)
    return -(-(_HEAD_BITS + WIDE_BITS * min(channels, _WIDE_CHANNELS) + NARROW_BITS * narrow) // 8)


def bits_of(place: int) -> int:
    """Return the resolution of a frame's channel by its place, from 0."""
    return WIDE_BITS if place < _WIDE_CHANNELS else NARROW_BITS


def counts(rows: ByteArray, place: int) -> NDArray[np.int64]:
    """Return the counts (n,) of the channel at a place, from 0, in frames (n, size)."""
    before = WIDE_BITS * min(place, _WIDE_CHANNELS) + NARROW_BITS * max(place - _WIDE_CHANNELS, 0)
    word = np.zeros(len(rows), dtype=np.uint64)
    for column in range(rows.shape[1]):
        word |= rows[:, column].astype(np.uint64) << np.uint64(8 * column)
    bits = bits_of(place)
    shift = 8 * rows.shape[1] - _HEAD_BITS - before - bits
    return (word >> np.uint64(shift)).astype(np.int64) & ((1 << bits) - 1)


def to_mv(raw: NDArray[np.int64], bits: int) -> FloatArray:
    """Return millivolts at the electrodes: (count / 2^bits - 1/2) * 3.3 V / 1100."""
    mv: FloatArray = (raw / float(1 << bits) - 0.5) * (VREF_MV / GAIN)
    return mv


@lru_cache(maxsize=MAX_CHANNELS)
def _crc_table(size: int) -> ByteArray:
    """Remainder of each value of each byte of a frame, (size, 256); a frame's CRC is their sum."""
    table = np.zeros((size, 256), dtype=np.uint8)
    for column in range(size):
        for value in range(256):
            rest = value << 8 * (size - 1 - column)
            for bit in range(8 * size - 1, 3, -1):
                if rest >> bit & 1:
                    rest ^= _POLYNOMIAL << (bit - 4)
            table[column, value] = rest
    return table


def crc(rows: ByteArray) -> ByteArray:
    """Return the CRC (n,) of frames (n, size): x^4 + x + 1, high bit first, its own nibble as zero."""
    table = _crc_table(rows.shape[1])
    out: ByteArray = table[-1][rows[:, -1] & 0xF0]
    for column in range(rows.shape[1] - 1):
        out = out ^ table[column][rows[:, column]]
    return out


class BitalinoFramer(CountedFramer):
    """Finds frames by their CRC and sequence number.

    Four bits of check and four of sequence agree by chance once in 256, so a frame is believed only with
    others around it that count on, and the first one behind a hole is given up.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(frame_size(channels), SEQUENCE_RANGE, lock_rows=5, strict=True)

    def _well_formed(self, rows: ByteArray) -> BoolArray:
        well: BoolArray = crc(rows) == rows[:, -1] & 0x0F
        return well

    def _numbers(self, rows: ByteArray) -> NDArray[np.int64]:
        return (rows[:, -1] >> 4).astype(np.int64)
