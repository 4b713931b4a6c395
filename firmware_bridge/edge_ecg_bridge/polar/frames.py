"""Data frames of the Polar Measurement Data service.

    0      measurement
    1..8   time of the last sample, nanoseconds since 2000-01-01, little-endian
    9      frame type; bit 7: compressed
    10..   samples

Compressed frames and the unit of acceleration: the parser of the Polar BLE SDK.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..stream import FloatArray
from .pmd import Measurement

HEADER_BYTES = 10
COMPRESSED = 0x80
# Frame type -> bytes of one value, for uncompressed acceleration in milli-g.
_ACCELERATION_BYTES = {0: 1, 1: 2, 2: 3}
_AXES = 3
_MG_PER_G = 1000.0


class FrameError(Exception):
    """A frame that cannot be read; the text says why. ``unknown`` where its type is one we do not know."""

    def __init__(self, text: str, *, unknown: bool = False) -> None:
        super().__init__(text)
        self.unknown = unknown


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A frame's parts."""

    measurement: int
    stamp_ns: int
    kind: int
    data: bytes


def split(value: bytes) -> RawFrame:
    """Cut a notification into its parts; FrameError when it is too short."""
    if len(value) <= HEADER_BYTES:
        raise FrameError(f"The frame has {len(value)} bytes only.")
    return RawFrame(value[0], int.from_bytes(value[1:9], "little"), value[9], value[HEADER_BYTES:])


def ecg_uv(frame: RawFrame) -> FloatArray:
    """Return the (n,) microvolts of an ECG frame (type 0: 24-bit signed, one lead).

    Raises
    ------
    FrameError
        For another type, or when a sample is cut off.

    """
    if frame.measurement != Measurement.ECG or frame.kind != 0:
        raise FrameError(f"An ECG frame of type 0x{frame.kind:02X}.", unknown=True)
    return _signed(frame.data, 3).astype(np.float64)


def acceleration_g(frame: RawFrame, factor: float = 1.0) -> FloatArray:
    """Return the (n, 3) accelerations in g: types 0, 1, 2 (8, 16, 24 bit, milli-g), compressed 0 and 1.

    Parameters
    ----------
    frame:
        The frame.
    factor:
        What the device named when it was started; for compressed frames (type 0 gives g, type 1 milli-g).

    Raises
    ------
    FrameError
        For another type, or when a sample is cut off.

    """
    if frame.measurement != Measurement.ACCELERATION:
        raise FrameError(f"A frame of measurement {frame.measurement}.", unknown=True)
    if frame.kind & COMPRESSED:
        kind = frame.kind & ~COMPRESSED
        if kind not in (0, 1):
            raise FrameError(f"An acceleration frame of type 0x{frame.kind:02X}.", unknown=True)
        return deltas(frame.data, _AXES, 2) * factor / (1.0 if kind == 0 else _MG_PER_G)
    if frame.kind not in _ACCELERATION_BYTES:
        raise FrameError(f"An acceleration frame of type 0x{frame.kind:02X}.", unknown=True)
    values = _signed(frame.data, _ACCELERATION_BYTES[frame.kind])
    if len(values) % _AXES:
        raise FrameError("The last sample is cut off.")
    return values.reshape(-1, _AXES) / _MG_PER_G


def deltas(data: bytes, channels: int, width: int) -> FloatArray:
    """Return the (n, channels) samples of a compressed frame.

    A reference sample of ``width`` bytes a channel, then blocks: bits of one difference, number of samples,
    and the differences, lowest bit first, each block filled up to whole bytes.
    """
    at = channels * width
    if len(data) < at:
        raise FrameError("The reference sample is cut off.")
    parts = [_signed(data[:at], width).reshape(1, channels)]
    while at < len(data):
        if len(data) < at + 2 or data[at] > 32:
            raise FrameError("The head of a block of differences is damaged.")
        bits, count = data[at], data[at + 1]
        length = (bits * count * channels + 7) // 8
        block = np.frombuffer(data[at + 2 : at + 2 + length], dtype=np.uint8)
        if len(block) < length:
            raise FrameError("A block of differences is cut off.")
        flags = np.unpackbits(block, bitorder="little")[: bits * count * channels]
        weights = 1 << np.arange(bits, dtype=np.int64)
        weights[-1:] *= -1  # two's complement
        parts.append((flags.reshape(count * channels, bits) @ weights).reshape(count, channels))
        at += 2 + length
    return np.cumsum(np.concatenate(parts), axis=0).astype(np.float64)


def _signed(data: bytes, width: int) -> NDArray[np.int32]:
    """Signed little-endian integers of 1 to 4 bytes."""
    if len(data) % width:
        raise FrameError("The last sample is cut off.")
    # Their bytes become the upper ones of 32 bits; the shift back carries the sign along.
    padded = np.zeros((len(data) // width, 4), dtype=np.uint8)
    padded[:, 4 - width :] = np.frombuffer(data, dtype=np.uint8).reshape(-1, width)
    return padded.view("<i4").ravel() >> (8 * (4 - width))
