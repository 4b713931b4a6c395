"""Per-person normalisation: whole-recording z-score for reproduction, a causal one for live use.

Both use the founding code's statistics (Sarkar & Etemad, IEEE TAFFC 2020): the mean of all samples, and the
standard deviation of only those samples between the 2.5th and the 97.5th percentile. R peaks lie outside
that range, so their z values come out larger (5 to 10) than with a plain standard deviation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..samples import FloatArray

TRIM = 0.025


@dataclass(frozen=True, slots=True)
class Scale:
    """The two constants of a z-score: millivolts to units of the trimmed standard deviation."""

    mean_mv: float
    sd_mv: float

    def apply(self, ecg_mv: ArrayLike) -> NDArray[np.float32]:
        """Normalise samples of any shape."""
        return ((np.asarray(ecg_mv, dtype=np.float64) - self.mean_mv) / self.sd_mv).astype(np.float32)


def trimmed_scale(ecg_mv: FloatArray) -> Scale:
    """Mean of all and standard deviation of the middle 95 % of (n,) samples.

    Raises
    ------
    ValueError
        When the samples are empty or constant, so that there is nothing to divide by.

    """
    ordered = np.sort(np.asarray(ecg_mv, dtype=np.float64))
    cut = int(TRIM * len(ordered))
    middle = ordered[cut : len(ordered) - cut]
    # Compared as values: the computed deviation of a constant may be a rounding error instead of zero.
    if len(middle) == 0 or middle[0] == middle[-1]:
        raise ValueError("a constant signal has no scale")
    return Scale(float(ordered.mean()), float(middle.std()))


class CalibratedNormaliser:
    """Causal normalisation: calibrate on the first good window, then follow slowly.

    The scale is the running mean over good, non-overlapping windows; after ``memory_blocks`` of them (5
    minutes of 10 s windows) it becomes an exponential average with that memory. It changes only when a block
    is complete, so all samples of one window share one scale, and it never uses a sample from the future.
    """

    def __init__(self, memory_blocks: int = 30) -> None:
        self.memory_blocks = memory_blocks
        self.blocks = 0
        self.scale: Scale | None = None

    def update(self, ecg_mv: FloatArray) -> None:
        """Take one good window (n,) that overlaps none of those given before."""
        try:
            new = trimmed_scale(ecg_mv)
        except ValueError:
            return
        self.blocks += 1
        if self.scale is None:
            self.scale = new
            return
        weight = 1.0 / min(self.blocks, self.memory_blocks)
        self.scale = Scale(
            self.scale.mean_mv + weight * (new.mean_mv - self.scale.mean_mv),
            self.scale.sd_mv + weight * (new.sd_mv - self.scale.sd_mv),
        )
