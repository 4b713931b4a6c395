"""Streaming second-order IIR filters: the 0.8 Hz high-pass and the mains notch.

A plain loop over samples: at 256 Hz it needs a fraction of a millisecond for a second of ECG, it gives the
same bits for any chunking, and it spares a Pi the 149 MB of SciPy. A test compares it with SciPy.
"""

from __future__ import annotations

import math

import numpy as np

from ..samples import FloatArray

HIGH_PASS_HZ = 0.8


class Biquad:
    """One second-order section, transposed direct form II, in float64.

    Parameters
    ----------
    b, a:
        Numerator and denominator with ``a[0] == 1``.

    Notes
    -----
    The state starts as if the first sample had been there for ever, so that an electrode offset of hundreds
    of millivolts makes no step.

    """

    def __init__(self, b: tuple[float, float, float], a: tuple[float, float, float]) -> None:
        self.b = b
        self.a = a
        self._z: tuple[float, float] | None = None

    def process(self, x: FloatArray) -> FloatArray:
        """Filter (n,) samples, keeping the state for the next call."""
        if len(x) == 0:
            return np.zeros(0)
        b0, b1, b2 = self.b
        _, a1, a2 = self.a
        z0, z1 = self._z if self._z is not None else self._steady_state(float(x[0]))
        y = []
        for value in x.tolist():
            out = b0 * value + z0
            z0 = b1 * value - a1 * out + z1
            z1 = b2 * value - a2 * out
            y.append(out)
        self._z = (z0, z1)
        return np.array(y)

    def _steady_state(self, value: float) -> tuple[float, float]:
        b0, b1, b2 = self.b
        _, a1, a2 = self.a
        out = value * (b0 + b1 + b2) / (1.0 + a1 + a2)
        z1 = b2 * value - a2 * out
        return b1 * value - a1 * out + z1, z1


def high_pass(fs_hz: float, cutoff_hz: float = HIGH_PASS_HZ) -> Biquad:
    """Butterworth high-pass of second order.

    The networks' authors state an IIR high-pass with a pass band from 0.8 Hz and no order (Sarkar & Etemad,
    IEEE TAFFC 2020, pre-processing); second order settles within a second, which a live stream needs.
    Design: bilinear transform with pre-warping.
    """
    k = math.tan(math.pi * cutoff_hz / fs_hz)
    norm = 1.0 / (1.0 + math.sqrt(2.0) * k + k * k)
    return Biquad(
        (norm, -2.0 * norm, norm),
        (1.0, 2.0 * (k * k - 1.0) * norm, (1.0 - math.sqrt(2.0) * k + k * k) * norm),
    )


def notch(fs_hz: float, mains_hz: float, q: float = 30.0) -> Biquad:
    """Notch at the mains frequency (50 or 60 Hz) with a -3 dB width of ``mains_hz / q``."""
    w0 = 2.0 * math.pi * mains_hz / fs_hz
    gain = 1.0 / (1.0 + math.tan(w0 / q / 2.0))
    c = -2.0 * math.cos(w0)
    return Biquad((gain, gain * c, gain), (1.0, gain * c, 2.0 * gain - 1.0))
