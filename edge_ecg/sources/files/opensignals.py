"""What OpenSignals (PLUX: biosignalsplux, BITalino) says of its channels, in text and HDF5 files alike.

Transfer functions by the makers' data sheets: with n bits, mV = (digit / 2^n - 0.5) * supply / gain, where
supply and gain are 3000 mV and 1019 for the biosignalsplux ECG sensor, 3300 mV and 1100 for BITalino's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...samples import BoolArray, FloatArray
from .options import FileOptions
from .recording import at_limits
from .units import unit_factor

_MV_FULL_SCALE = {"biosignalsplux": 3000.0 / 1019.0, "bitalino": 3300.0 / 1100.0}
# The running number of a row: four bits on a BITalino, 16 on a biosignalsplux (whose HDF5 files
# stop at the last number instead of beginning anew).
_COUNTS = {"biosignalsplux": 1 << 16, "bitalino": 1 << 4}


@dataclass(frozen=True, slots=True)
class OpenSignalsChannel:
    """One analogue channel: its digits in, millivolts out."""

    device: str
    label: str
    sensor: str
    bits: int
    mv_per_step: float
    offset_mv: float

    def to_mv(self, digits: NDArray[np.int64]) -> FloatArray:
        """(n,) millivolts."""
        return digits.astype(np.float64) * self.mv_per_step + self.offset_mv

    def saturated(self, digits: NDArray[np.int64]) -> BoolArray:
        """Where the converter stood at its limit."""
        return at_limits(digits, 0, (1 << self.bits) - 1)


def make_channel(
    path: Path, device: str, label: str, sensor: str, bits: int, options: FileOptions
) -> OpenSignalsChannel:
    """Find the transfer function of a channel.

    Raises
    ------
    DataError
        When the device is unknown or the sensor is no ECG, and the options give no scale.

    """
    if not 1 <= bits <= 32:
        raise DataError(
            f"{path.name} gives its channel {label} {bits} bits.",
            why="Its header is damaged.",
            remedy="Export the recording again from OpenSignals.",
        )
    if options.scale is not None:
        factor = unit_factor(options.unit or "mV") or 1.0
        scale, offset = options.scale * factor, (options.offset or 0.0) * factor
        return OpenSignalsChannel(device, label, sensor, bits, scale, offset)
    full_scale = _MV_FULL_SCALE.get(_family(device))
    if full_scale is None or "ECG" not in sensor.upper():
        # BITalino's "RAW" may well be an ECG; the numbers for it can be told.
        guess = full_scale or _MV_FULL_SCALE["biosignalsplux"]
        raise DataError(
            f"The channel {label} of {path.name} is a {sensor or 'nameless'} sensor on a "
            f"{device or 'nameless'} device, for which edge-ecg knows no conversion to millivolts.",
            why="The file holds the converter's digits.",
            remedy="If it is an ECG with the usual amplifier, add "
            f"&scale={guess / 2**bits:.6g}&offset={-guess / 2:.6g}",
        )
    return OpenSignalsChannel(device, label, sensor, bits, full_scale / 2**bits, -full_scale / 2)


def _family(device: str) -> str:
    return next((name for name in _MV_FULL_SCALE if device.lower().startswith(name)), "")


class RowCounter:
    """Numbers rows by the device's running number, which begins anew after a few bits."""

    def __init__(self, device: str) -> None:
        self._modulus = _COUNTS.get(_family(device))
        self._last: int | None = None
        self._next = 0

    def number(self, running: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sample numbers of rows that carry the running numbers ``running`` (n,); continues across calls."""
        before = int(running[0]) - 1 if self._last is None else self._last
        steps = np.diff(np.concatenate(([before], running)))
        if self._modulus is not None:
            steps = np.where(steps < 0, steps % self._modulus, steps)
        # A number that stands still is a counter at its end stop, and says nothing of losses.
        steps = np.maximum(steps, 1)
        numbers = self._next - 1 + np.cumsum(steps)
        self._last, self._next = int(running[-1]), int(numbers[-1]) + 1
        return numbers


def sensor_choices(labels: Sequence[str], sensors: Sequence[str]) -> list[str]:
    """Names for a list of channels: the label and what is plugged in there."""
    return [f"{label} ({sensor})" if sensor else label for label, sensor in zip(labels, sensors, strict=True)]
