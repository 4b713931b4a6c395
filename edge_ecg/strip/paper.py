"""The scale of ECG paper: millimetres a second and a millivolt, as printed recorders have them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..samples import FloatArray

SPEEDS_MM_S = (12.5, 25.0, 50.0)
GAINS_MM_MV = (2.5, 5.0, 10.0, 20.0, 40.0)
# A box of the grid: 0.2 s and 0.5 mV at the usual 25 mm/s and 10 mm/mV.
BOX_MM = 5.0


@dataclass(frozen=True, slots=True)
class Paper:
    """25 mm/s and 10 mm/mV unless said otherwise."""

    mm_per_s: float = 25.0
    mm_per_mv: float = 10.0

    def faster(self, steps: int) -> Paper:
        """The next speed (or, with a negative number, the one before); the last one stays."""
        return replace(self, mm_per_s=_next(SPEEDS_MM_S, self.mm_per_s, steps))

    def larger(self, steps: int) -> Paper:
        """The next gain (or the one before); the last one stays."""
        return replace(self, mm_per_mv=_next(GAINS_MM_MV, self.mm_per_mv, steps))

    def __str__(self) -> str:
        return f"{self.mm_per_s:g} mm/s  {self.mm_per_mv:g} mm/mV"


def fitting_gain(ecg_mv: FloatArray, height_mm: float) -> float:
    """Return the largest gain at which a signal fits into a height, the usual one at most while it does."""
    if len(ecg_mv) == 0:
        return 10.0
    # A single spike may be cut off; beats, which are a few per cent of the time, may not.
    low, high = np.percentile(ecg_mv, (0.1, 99.9)).tolist()
    reach_mv = 2.0 * max(abs(low), abs(high))
    fitting = [gain for gain in GAINS_MM_MV if reach_mv * gain <= height_mm]
    return fitting[-1] if fitting else GAINS_MM_MV[0]


def _next(choices: tuple[float, ...], now: float, steps: int) -> float:
    nearest = int(np.argmin([abs(choice - now) for choice in choices]))
    return choices[min(max(nearest + steps, 0), len(choices) - 1)]
