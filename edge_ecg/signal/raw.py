"""What only the raw samples show: a signal that stands still, and one that is cut off at a limit.

Both are judged within one window alone, so that the answer does not depend on what came before or after.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..samples import FloatArray

STILL_S = 0.5
"""A signal stands still when it repeats one value for this long; coarse converters do so for less."""

CLIPPED_S = 0.012
"""A cut-off peak is at least this long."""

_CLIPPED_SAMPLES = 3
_STEEP = 0.02


def runs(x: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and lengths of the runs of equal values in (n,) samples, n >= 1."""
    changes = np.flatnonzero(x[1:] != x[:-1]) + 1
    starts = np.concatenate([[0], changes])
    return starts, np.diff(np.concatenate([starts, [len(x)]]))


def still_fraction(raw_mv: FloatArray, fs_hz: float) -> float:
    """Fraction of (n,) samples that lie in runs of one value of at least ``STILL_S``."""
    _, lengths = runs(raw_mv)
    return float(lengths[lengths >= STILL_S * fs_hz].sum() / len(raw_mv))


def clipped_fraction(raw_mv: FloatArray, fs_hz: float) -> float:
    """Fraction of (n,) samples that look cut off at the window's highest or lowest value.

    A run at the extreme counts when the signal comes to it, or leaves it, by a step of more than 2 % of the
    window's range: a rounded peak approaches its extreme by ever smaller steps, a cut-off one does not.
    """
    low, high = float(raw_mv.min()), float(raw_mv.max())
    span = high - low
    if not span > 0.0:
        return 0.0
    starts, lengths = runs(raw_mv)
    long_enough = lengths >= max(_CLIPPED_SAMPLES, CLIPPED_S * fs_hz)
    starts, lengths = starts[long_enough], lengths[long_enough]
    values = raw_mv[starts]
    before = np.abs(raw_mv[np.maximum(starts - 1, 0)] - values)
    after = np.abs(raw_mv[np.minimum(starts + lengths, len(raw_mv) - 1)] - values)
    steep = np.maximum(before, after) > _STEEP * span
    extreme = (values == low) | (values == high)
    return float(lengths[steep & extreme].sum() / len(raw_mv))
