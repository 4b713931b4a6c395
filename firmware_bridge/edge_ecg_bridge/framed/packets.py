"""Data frames: a few samples of every channel, with their number and time."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..stream import FloatArray
from .info import Info
from .wire import FrameType, seal

_HEAD = struct.Struct("<BBII")
_ACCELERATION = struct.Struct("<hhh")
_UG_PER_G = 1e6
_KNOWN_FLAGS = 0x0F
SMALLEST = _HEAD.size + 2
"""Bytes of the smallest payload: one sample of one channel."""


class Flag(IntFlag):
    """Second byte of a data frame; what it says holds for all samples of the frame."""

    PLUS_OFF = 0x01
    MINUS_OFF = 0x02
    REFERENCE_OFF = 0x04
    SATURATED = 0x08
    """The device knows that its amplifier or converter is at its limit."""
    ELECTRODES = PLUS_OFF | MINUS_OFF | REFERENCE_OFF


class DataFrame(NamedTuple):
    """One data frame, its samples still as bytes.

    Attributes
    ----------
    run:
        That of the info frame by which it is to be read.
    flags:
        Of :class:`Flag`.
    first:
        Number of its first sample, modulo 2^32. Samples that were dropped count.
    time_us:
        Device time when its last sample was taken, modulo 2^32 microseconds.
    body:
        Acceleration, if any, and samples.

    """

    run: int
    flags: int
    first: int
    time_us: int
    body: bytes

    @classmethod
    def parse(cls, payload: bytes) -> DataFrame:
        """Read the payload of a data frame, at least :data:`SMALLEST` bytes."""
        run, flags, first, time_us = _HEAD.unpack_from(payload)
        return cls(run, flags & _KNOWN_FLAGS, first, time_us, payload[_HEAD.size :])

    def frame(self) -> bytes:
        """Return the whole frame."""
        head = _HEAD.pack(self.run, self.flags, self.first, self.time_us)
        return seal(FrameType.DATA, head + self.body)


@dataclass(frozen=True, slots=True)
class BodyLayout:
    """How the body of a data frame is to be read."""

    channels: int
    sample_bytes: int
    ug_per_count: int

    @classmethod
    def of(cls, info: Info) -> BodyLayout:
        """Return the layout that an info frame describes."""
        return cls(len(info.channels), info.sample_bytes, info.ug_per_count)

    @property
    def _prefix(self) -> int:
        return _ACCELERATION.size if self.ug_per_count else 0

    def samples_in(self, frame: DataFrame) -> int:
        """Return how many samples of each channel a frame holds; 0 when its length does not fit."""
        count, rest = divmod(len(frame.body) - self._prefix, self.channels * self.sample_bytes)
        return 0 if rest else max(count, 0)

    def counts(self, frames: Sequence[DataFrame]) -> NDArray[np.int32]:
        """Return the samples of frames that fit, as (n, channels) counts."""
        raw = b"".join(frame.body[self._prefix :] for frame in frames)
        if self.sample_bytes == 2:
            return np.frombuffer(raw, dtype="<i2").astype(np.int32).reshape(-1, self.channels)
        wide = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 3).astype(np.int32)
        value = wide[:, 0] | wide[:, 1] << 8 | wide[:, 2] << 16
        # Bit 23 is the sign.
        return ((value ^ 0x800000) - 0x800000).astype(np.int32).reshape(-1, self.channels)

    def acceleration_g(self, frames: Sequence[DataFrame]) -> FloatArray | None:
        """Return one row of (x, y, z) for each frame, in g; None where there is no accelerometer."""
        if not self.ug_per_count:
            return None
        raw = b"".join(frame.body[: self._prefix] for frame in frames)
        rows = np.frombuffer(raw, dtype="<i2").reshape(-1, 3)
        return rows * (self.ug_per_count / _UG_PER_G)

    def pack(self, counts: NDArray[np.int32], acceleration: tuple[int, int, int] | None = None) -> bytes:
        """Return the body with (n, channels) counts; the other way round."""
        width = self.sample_bytes
        columns = [(counts >> shift & 0xFF).astype(np.uint8) for shift in range(0, 8 * width, 8)]
        prefix = _ACCELERATION.pack(*acceleration) if acceleration is not None else b""
        return prefix + np.stack(columns, axis=-1).tobytes()
