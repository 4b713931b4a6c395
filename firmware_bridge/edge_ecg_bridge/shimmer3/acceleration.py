"""The accelerometers of a Shimmer: from counts to g by the calibration that the device keeps.

Each motion sensor has a block of 21 bytes: offset and sensitivity of three axes as big-endian int16, and the
alignment matrix as nine int8 in hundredths (the firmware's own documentation of its calibration bytes,
section 3). With u the counts, b the offset, K the sensitivities in counts per m/s² and R the alignment:

    acceleration = R⁻¹ K⁻¹ (u − b)

A block of 00 or FF only means "never calibrated"; then the vendor's typical values are used (firmware,
ShimCalib_setDefault…Calib): the low-noise chip at ±2 g, the wide-range one at ±2 g. The ranges themselves are
those that the device is set to; a device without calibration set to another range would read wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..stream import ByteArray, FloatArray
from .wire import LN_ACCEL_SENSORS, WR_ACCEL_SENSORS, Channel, Hardware

G_MS2 = 9.80665
BLOCK_BYTES = 21
_SWAPPED = ((0.0, -1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
_MIRRORED = ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0))


@dataclass(frozen=True, slots=True)
class Accelerometer:
    """One of a Shimmer's accelerometers: sensor bits, channels, block in the calibration answer."""

    sensors: bytes
    channels: tuple[Channel, Channel, Channel]
    block: int


ACCELEROMETERS = {
    "on": Accelerometer(LN_ACCEL_SENSORS, (Channel.LN_ACCEL_X, Channel.LN_ACCEL_Y, Channel.LN_ACCEL_Z), 0),
    "wide": Accelerometer(WR_ACCEL_SENSORS, (Channel.WR_ACCEL_X, Channel.WR_ACCEL_Y, Channel.WR_ACCEL_Z), 3),
}
"""By what a user asks for: ``on`` is the low-noise one (±2 g), ``wide`` the wide-range one."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Offset (counts), sensitivity (counts per m/s²) and alignment of three axes."""

    offset: tuple[float, float, float]
    sensitivity: tuple[float, float, float]
    alignment: tuple[tuple[float, float, float], ...]

    def to_g(self, counts: FloatArray) -> FloatArray:
        """Turn (n, 3) counts into g along the device's axes."""
        scaled = (counts - np.array(self.offset)) / np.array(self.sensitivity)
        in_g: FloatArray = scaled @ np.linalg.inv(np.array(self.alignment)).T / G_MS2
        return in_g

    def to_counts(self, acceleration_g: FloatArray) -> FloatArray:
        """Turn (n, 3) g into counts, not rounded: the inverse of :meth:`to_g`."""
        along = acceleration_g * G_MS2 @ np.array(self.alignment).T
        counts: FloatArray = along * np.array(self.sensitivity) + np.array(self.offset)
        return counts

    def to_bytes(self) -> bytes:
        """Return its block of 21 bytes."""
        numbers = np.array([*self.offset, *self.sensitivity]).round().astype(">i2").tobytes()
        return numbers + (np.array(self.alignment) * 100).round().astype(np.int8).tobytes()


TYPICAL = {
    ("on", Hardware.SHIMMER3): Calibration((2047.0,) * 3, (83.0,) * 3, _SWAPPED),
    ("wide", Hardware.SHIMMER3): Calibration((0.0,) * 3, (1631.0,) * 3, _MIRRORED),
    ("on", Hardware.SHIMMER3R): Calibration((0.0,) * 3, (1672.0,) * 3, _MIRRORED),
    ("wide", Hardware.SHIMMER3R): Calibration((0.0,) * 3, (1671.0,) * 3, _SWAPPED),
}
"""The vendor's typical values, by accelerometer and hardware."""


def parse_calibration(payload: bytes, block: int) -> Calibration | None:
    """Read one block of the answer to GET_CALIBRATION; None where it holds none that can be used."""
    data = payload[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES]
    if len(data) < BLOCK_BYTES or data in (b"\0" * BLOCK_BYTES, b"\xff" * BLOCK_BYTES):
        return None
    numbers = np.frombuffer(data[:12], dtype=">i2").astype(float).tolist()
    rows = np.frombuffer(data[12:], dtype=np.int8).reshape(3, 3) / 100.0
    if min(numbers[3:]) <= 0 or abs(np.linalg.det(rows)) < 0.1:
        return None
    x, y, z = (tuple(row) for row in rows.tolist())
    return Calibration((numbers[0], numbers[1], numbers[2]), (numbers[3], numbers[4], numbers[5]), (x, y, z))


def axis_counts(packets: ByteArray, offsets: tuple[int, ...]) -> FloatArray:
    """Read axes at their offsets as int16, little-endian (12 bits never reach the sign): (k, 3)."""
    low_high = [(packets[:, at].astype(np.int32), packets[:, at + 1].astype(np.int32)) for at in offsets]
    axes = [(low | high << 8).astype(np.uint16).view(np.int16) for low, high in low_high]
    return np.stack(axes, axis=1).astype(np.float64)
