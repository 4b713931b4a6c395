"""The Ganglion's bytes: services, commands, packet numbers, and the bits of compressed samples."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from ..stream import FloatArray

SERVICE_UUID = "0000fe84-0000-1000-8000-00805f9b34fb"
NOTIFY_UUID = "2d30c082-f39f-4ce6-923f-3484ea480596"
WRITE_UUID = "2d30c083-f39f-4ce6-923f-3484ea480596"

FS_HZ = 200.0
CHANNELS = 4
PACKET_SIZE = 20
RESET, START, STOP = b"v", b"b", b"s"
ACCELEROMETER_ON, ACCELEROMETER_OFF = b"n", b"N"

LAST_DATA_ID = 200
TEXT_PART_ID, TEXT_END_ID = 206, 207
NARROW_BITS, WIDE_BITS = 18, 19
ACCEL_AT = 18  # behind the packet's number
ACCEL_G_PER_COUNT = 0.032  # ±4 g in 8 bits
_ACCEL_EVERY = 10

SAMPLE_BITS = 24
UV_PER_COUNT = 15686.0 / 8388607
_SATURATED = (1 << 23) - 256  # the lowest bits are lost in compression

_VERSION = re.compile(rb"Ganglion v(\d+)\.(\d+)\.(\d+)")


def parse_version(text: bytes) -> tuple[int, int, int] | None:
    """Find the firmware's version in what the board says of itself; None when it is not there."""
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def words(payload: bytes, bits: int) -> NDArray[np.int64]:
    """Return the eight signed numbers (2, 4) of a compressed packet's data, sample by sample.

    They stand one behind the other, high bit first, and carry their sign in their lowest bit, whose own value
    is lost.
    """
    rows = np.unpackbits(np.frombuffer(payload, dtype=np.uint8), count=8 * bits).reshape(8, bits)
    raw = rows.astype(np.int64) @ (1 << np.arange(bits - 1, -1, -1, dtype=np.int64))
    signed: NDArray[np.int64] = (raw & ~1) - ((raw & 1) << bits)
    return signed.reshape(2, CHANNELS)


def whole_sample(data: bytes) -> NDArray[np.int64]:
    """Return the four signed numbers (4,) of an uncompressed packet's data."""
    wide = np.frombuffer(data[: 3 * CHANNELS], dtype=np.uint8).reshape(CHANNELS, 3).astype(np.int64)
    raw = wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2]
    return raw - ((raw & 0x800000) << 1)


def to_mv(counts: NDArray[np.int64]) -> FloatArray:
    """Return millivolts at the electrodes: 15686 uV / 8388607 a count."""
    mv: FloatArray = counts.astype(np.float64) * (UV_PER_COUNT * 1e-3)
    return mv


def clipped(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the converter was at its limit, as far as compression leaves that visible."""
    at_limit: NDArray[np.bool_] = np.abs(counts) >= _SATURATED
    return at_limit


def accelerometer_axis(place: int) -> int | None:
    """Return which axis the packet at a place of the cycle carries: 0, 1, 2 for x, y, z; else None."""
    axis = place % _ACCEL_EVERY - 1
    return axis if 0 <= axis < 3 else None
