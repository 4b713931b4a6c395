"""Streaming resampling to the model's rate.

The filter is libsamplerate's windowed sinc (BSD-2-Clause), which keeps its position in the input as a
floating-point number and so neither drifts nor depends on how the stream is cut into chunks.
"""

from __future__ import annotations

import math

import numpy as np
import samplerate
from numpy.typing import NDArray

from ..samples import FloatArray

MODEL_FS_HZ = 256.0
MIN_FS_HZ, MAX_FS_HZ = 100.0, 4000.0

# Zero crossings on each side of libsamplerate's fastest sinc, rounded up; its pass band reaches
# 0.8 of the lower Nyquist frequency and its images lie below -97 dB.
_SINC_HALF_LENGTH = 20


class Resampler:
    """Resample one channel from ``fs_in_hz`` to ``fs_out_hz`` chunk by chunk.

    Output sample ``n`` lies at ``n / fs_out_hz`` after the first input sample, whatever the chunks are. At
    equal rates samples pass through untouched. To start anew after a gap, make a new one.

    Raises
    ------
    ValueError
        When ``fs_in_hz`` lies outside 100 to 4000 Hz.

    """

    def __init__(self, fs_in_hz: float, fs_out_hz: float = MODEL_FS_HZ) -> None:
        check_rate(fs_in_hz)
        self.fs_in_hz = fs_in_hz
        self.fs_out_hz = fs_out_hz
        self._ratio = fs_out_hz / fs_in_hz
        self._passes_through = math.isclose(self._ratio, 1.0, rel_tol=1e-12)
        self._sinc = samplerate.Resampler("sinc_fastest", channels=1)
        # libsamplerate computes in float32: without the electrode's offset no ECG is rounded away.
        self._offset: float | None = None
        self._last = 0.0
        self._n_in = 0
        self._n_out = 0

    def process(self, x: FloatArray) -> FloatArray:
        """Take (n,) samples, return those output samples that are certain by now, as (m,) float64."""
        if self._passes_through or len(x) == 0:
            return np.asarray(x, dtype=np.float64)
        if self._offset is None:
            self._offset = float(x[0])
        self._last = float(x[-1])
        self._n_in += len(x)
        return self._run(x)

    def flush(self) -> FloatArray:
        """Return the last output samples; the signal is taken to stay at its last value after its end."""
        if self._passes_through or self._offset is None:
            return np.zeros(0)
        padding = math.ceil(2 * _SINC_HALF_LENGTH * max(1.0, 1.0 / self._ratio)) + 2
        wanted = math.ceil(self._n_in * self._ratio) - self._n_out
        return self._run(np.full(padding, self._last))[: max(wanted, 0)]

    def _run(self, x: FloatArray) -> FloatArray:
        assert self._offset is not None
        y: NDArray[np.float32] = self._sinc.process((x - self._offset).astype(np.float32), self._ratio)
        self._n_out += len(y)
        return y.astype(np.float64) + self._offset


def check_rate(fs_hz: float) -> None:
    """Raise ValueError for a rate that no ECG device has."""
    if not MIN_FS_HZ <= fs_hz <= MAX_FS_HZ:
        raise ValueError(f"a sampling rate of {fs_hz:g} Hz is outside {MIN_FS_HZ:g} to {MAX_FS_HZ:g} Hz")
