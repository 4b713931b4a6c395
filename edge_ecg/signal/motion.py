"""How much a person moves, by the accelerometer that some devices carry.

At rest the length of the acceleration vector is 1 g whichever way the sensor points; what it varies by is
movement. The measure is the standard deviation of that length, which takes gravity out with the mean, over
each two seconds of a window; the largest counts. Two seconds hold two to four steps of a walk, and are short
enough that the calibration error of a sensor that is slowly turned (a few hundredths of a g) stays below the
limit.

The limit, 0.05 g, lies between what sitting gives (noise of the sensor, breathing, speech: below 0.015 g) and
what walking gives (0.1 g and more at the chest). The same kind of measure with similar numbers separates
sitting from walking in Vähä-Ypyä et al., "Validation of cut-points for evaluating the intensity of physical
activity with accelerometry-based mean amplitude deviation", PLOS ONE 10(8), 2015.
"""

from __future__ import annotations

import numpy as np

from ..samples import FloatArray

MOTION_G = 0.05
"""A window that moves more than this carries no decision."""

BLOCK_S = 2.0
_LEAST_KNOWN = 0.5


def magnitude_g(acceleration_g: FloatArray) -> FloatArray:
    """Return the lengths (n,) of acceleration vectors (n, 3), NaN where they are not known."""
    lengths: FloatArray = np.sqrt((acceleration_g * acceleration_g).sum(axis=1))
    return lengths


def movement_g(magnitude: FloatArray, fs_hz: float) -> float:
    """Return the largest standard deviation of (n,) lengths over any two seconds; 0 where nothing is known.

    The window is cut into equal parts of about ``BLOCK_S``; of a part, half at least must be known.
    """
    parts = max(round(len(magnitude) / (BLOCK_S * fs_hz)), 1)
    largest = 0.0
    for part in np.array_split(magnitude, parts):
        known = part[np.isfinite(part)]
        if len(known) and len(known) >= _LEAST_KNOWN * len(part):
            largest = max(largest, float(known.std()))
    return largest
