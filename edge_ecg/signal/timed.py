"""Resampling at device time: a windowed sinc that reads a stream where its samples really lie.

For devices whose real rate is not the one on their label (a Polar H10: 130 Hz ± 2 %, more in the cold). Taken
at the nominal rate such a recording is soon off by whole beats; taken at each sample's own time it is not.

The value at a time is the sum over the 32 nearest samples of sinc times a Kaiser window (J. F. Kaiser, in Kuo
and Kaiser, System Analysis by Digital Computer, 1966), at the fraction of a sample that the time lies between
two of them. The weights are divided by their sum, so that an electrode's offset passes exactly.
"""

from __future__ import annotations

import math

import numpy as np

from ..samples import FloatArray
from .resample import MODEL_FS_HZ, check_rate

HALF_TAPS = 16
"""Samples on each side of a value, at rates up to the model's; also the delay in samples."""

_BETA = 7.0
# The Kaiser window is I0(beta sqrt(u)) with u = 1 - (d / half)^2; I0's power series in u needs no root, and
# with so many terms it is exact to 1e-13.
_I0_TERMS = [(_BETA * _BETA / 4.0) ** k / math.factorial(k) ** 2 for k in range(22)]


class TimedResampler:
    """Resample one channel of smooth but uneven times onto the grid ``k / fs_out_hz``, chunk by chunk.

    Grid points lie within the times of the samples given; before the first sample and after the last the
    signal is taken to have stood still. To start anew after a gap, make a new one.

    Parameters
    ----------
    fs_in_hz:
        The nominal rate; above ``fs_out_hz`` the kernel grows wider and keeps out what would alias.

    Attributes
    ----------
    first:
        The grid's number of the first output sample; None before there is any input.

    Raises
    ------
    ValueError
        When the rate lies outside 100 to 4000 Hz; from :meth:`process`, when time does not rise.

    """

    def __init__(self, fs_in_hz: float, fs_out_hz: float = MODEL_FS_HZ) -> None:
        check_rate(fs_in_hz)
        self.fs_out_hz = fs_out_hz
        self.first: int | None = None
        self._cutoff = min(1.0, fs_out_hz / fs_in_hz)
        self._half = math.ceil(HALF_TAPS / self._cutoff)
        self._x: FloatArray = np.zeros(0)
        self._t: FloatArray = np.zeros(0)
        self._next = 0

    def process(self, x: FloatArray, time_s: FloatArray) -> FloatArray:
        """Take (n,) samples and their times, return those output samples that are certain by now, (m,)."""
        if len(x) == 0:
            return np.zeros(0)
        before = self._t[-1:]
        steps = np.diff(time_s, prepend=before) if len(before) else np.diff(time_s)
        if not (steps > 0).all():
            raise ValueError(f"device time does not rise after {float(time_s[0]):.3f} s")
        if self.first is None:
            self.first = self._next = math.ceil(float(time_s[0]) * self.fs_out_hz)
            # Times before the first sample are never asked for; only their order matters.
            early = float(time_s[0]) - np.arange(self._half, 0, -1.0)
            self._x, self._t = np.full(self._half, x[0]), early
        self._x, self._t = np.concatenate([self._x, x]), np.concatenate([self._t, time_s])
        # A value between samples i and i + 1 needs as far as i + half.
        return self._values(float(self._t[-self._half]))

    def flush(self) -> FloatArray:
        """Return the last output samples, up to the last input sample's time."""
        if self.first is None:
            return np.zeros(0)
        end_s = float(self._t[-1])
        late = end_s + np.arange(1.0, self._half + 1.0)
        self._x, self._t = (
            np.concatenate([self._x, np.full(self._half, self._x[-1])]),
            np.concatenate([self._t, late]),
        )
        return self._values(math.nextafter(end_s, math.inf))

    def _values(self, before_s: float) -> FloatArray:
        """Return the output samples before a time, and forget the input that no later one needs."""
        stop = max(math.ceil(before_s * self.fs_out_hz), self._next)
        times = np.arange(self._next, stop) / self.fs_out_hz
        if not len(times):
            return np.zeros(0)
        self._next += len(times)
        at = np.searchsorted(self._t, times, side="right") - 1
        fraction = (times - self._t[at]) / (self._t[at + 1] - self._t[at])
        taps = np.arange(1 - self._half, self._half + 1)
        weights = kernel(fraction[:, None] - taps, self._half, self._cutoff)
        total: FloatArray = (weights * self._x[at[:, None] + taps]).sum(axis=1) / weights.sum(axis=1)
        surplus = int(at[-1]) - self._half
        if surplus > 0:
            self._x, self._t = self._x[surplus:], self._t[surplus:]
        return total


def kernel(distance: FloatArray, half: int, cutoff: float) -> FloatArray:
    """Weights of samples at a distance (in samples, any shape) from the value wanted."""
    inside = np.maximum(1.0 - (distance / half) ** 2, 0.0)
    window = np.full_like(inside, _I0_TERMS[-1])
    for term in reversed(_I0_TERMS[:-1]):
        window *= inside
        window += term
    weights: FloatArray = np.sinc(cutoff * distance) * window
    return weights
