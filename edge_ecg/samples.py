"""The one currency of the runtime: a block of ECG samples with its place in device time.

Every source, whatever it reads, yields :class:`SampleBlock` and, between blocks, :class:`SourceEvent`.
Sample numbers travel with the samples, so that a loss can never hide: ``first_sample`` counts in device
time from the stream's first sample and goes on counting through a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

ASIDES = frozenset(("heart_rate", "battery"))
"""Events in which a device tells of something beside its ECG, some every second: no news for a screen."""

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SampleBlock:
    """Consecutive samples of one ECG lead.

    Attributes
    ----------
    ecg_mv:
        (n,) float64, millivolts at the electrodes. May carry an electrode offset. Never NaN.
    fs_hz:
        The device's sampling rate; the same in all blocks of a stream.
    first_sample:
        Number of ``ecg_mv[0]`` in device time; lost samples count.
    gap_before:
        Samples lost immediately before this block; 0 when it follows the one before without a hole.
    lead_off:
        (n,) bool, True where the device itself reports an electrode off; None when it cannot tell.
    saturated:
        (n,) bool, True where the converter was at its limit; None when that is not known.
    time_s:
        (n,) float64, device time of each sample in seconds from the stream's first, strictly rising; given by
        devices whose real rate differs from the nominal ``fs_hz`` (a Polar H10: 130 Hz ± 2 %). None where
        samples lie at ``first_sample / fs_hz``.
    acceleration_g:
        (n, 3) float64, the latest reading of the device's accelerometer at each ECG sample, in g; NaN before
        the first. None where there is none.
    arrived_s:
        Host clock (monotonic seconds) when the last byte of the block arrived; None for a file.
    """

    ecg_mv: FloatArray
    fs_hz: float
    first_sample: int
    gap_before: int = 0
    lead_off: BoolArray | None = None
    saturated: BoolArray | None = None
    time_s: FloatArray | None = None
    acceleration_g: FloatArray | None = None
    arrived_s: float | None = None

    def __len__(self) -> int:
        return int(self.ecg_mv.shape[0])

    @property
    def start_s(self) -> float:
        """Device time of the first sample, seconds."""
        if self.time_s is not None and len(self):
            return float(self.time_s[0])
        return self.first_sample / self.fs_hz

    @property
    def end_s(self) -> float:
        """Device time just after the last sample, seconds."""
        if self.time_s is not None and len(self):
            return float(self.time_s[-1]) + 1.0 / self.fs_hz
        return (self.first_sample + len(self)) / self.fs_hz

    @property
    def last_s(self) -> float:
        """Device time of the last sample, seconds; of a block that holds one."""
        if self.time_s is not None:
            return float(self.time_s[-1])
        return (self.first_sample + len(self) - 1) / self.fs_hz

    def part(self, begin: int, end: int) -> SampleBlock:
        """Return samples ``begin`` to ``end`` and what belongs to them; the gap stays before the first."""
        begin, end = max(begin, 0), max(end, 0)
        return replace(
            self,
            ecg_mv=self.ecg_mv[begin:end],
            first_sample=self.first_sample + begin,
            gap_before=0 if begin else self.gap_before,
            lead_off=None if self.lead_off is None else self.lead_off[begin:end],
            saturated=None if self.saturated is None else self.saturated[begin:end],
            time_s=None if self.time_s is None else self.time_s[begin:end],
            acceleration_g=None if self.acceleration_g is None else self.acceleration_g[begin:end],
        )


@dataclass(frozen=True, slots=True)
class SourceEvent:
    """Something that happened to the source between two blocks.

    ``event`` is one of ``connected``, ``gap``, ``lost``, ``reconnected``, ``ended``, ``marker`` and
    :data:`ASIDES`;
    ``detail`` holds plain JSON values (for a gap: ``lost_samples`` and, where it is known, the ``reason``).
    """

    event: str
    at_s: float = 0.0
    detail: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source says of itself once it is open.

    ``device`` is a kind such as ``shimmer3``, ``text``, ``file:edf``, ``simulated shimmer3``;
    ``details`` hold what a person may want to see (firmware, gain, channel, serial number).
    """

    address: str
    device: str
    fs_hz: float
    details: Mapping[str, str | int | float | bool] = field(default_factory=dict)
