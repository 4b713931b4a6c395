"""What the calibration windows say of the float trunk: the range of every channel of every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .graph import Trunk
from .reference import FloatArray, float_steps

REACH_PERCENTILE = 99.5
# Room for maxima outside the calibrated range, in parts of its width. The step stays below 1 % of that range,
# and new people do exceed it: an embedding that saturates is wrong by far more than one that is rounded.
LOWER_MARGIN, UPPER_MARGIN = 0.3, 1.0


@dataclass(frozen=True, eq=False)
class Calibration:
    """The calibration windows and what the float trunk makes of them.

    Attributes
    ----------
    windows:
        (n, 2560) float32.
    lows, highs:
        Step name to (n, channels): each window's smallest and largest value.
    """

    windows: NDArray[np.float32]
    lows: Mapping[str, FloatArray]
    highs: Mapping[str, FloatArray]

    def reach(self, name: str) -> FloatArray:
        """(channels,) the magnitude that one window in two hundred goes beyond, where it then saturates.

        The largest outlier of all would cost every other window resolution; a lower percentile cuts into
        the R peaks of people whose heart is larger than most.
        """
        magnitudes = np.maximum(self.highs[name], -self.lows[name])
        return floored(np.percentile(magnitudes, REACH_PERCENTILE, axis=0))

    def peak(self, name: str) -> FloatArray:
        """(channels,) the largest magnitude of all."""
        return floored(np.maximum(self.highs[name].max(axis=0), -self.lows[name].min(axis=0)))

    def pooled(self, name: str) -> FloatArray:
        """(n, d) what a step that leaves one value a channel made of each window."""
        return self.highs[name]

    def maxima(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bound, (128,) each, of every feature's maxima, with room for new windows."""
        maxima = self.pooled(name)
        low, high = maxima.min(axis=0), maxima.max(axis=0)
        width = floored(high - low)
        return low - LOWER_MARGIN * width, high + UPPER_MARGIN * width


def calibrate(
    trunk: Trunk, windows: NDArray[np.float32], on_window: Callable[[], None] = lambda: None
) -> Calibration:
    """Run the float trunk over (n, 2560) calibration windows."""
    lows: dict[str, list[FloatArray]] = {step.name: [] for step in trunk.steps}
    highs: dict[str, list[FloatArray]] = {step.name: [] for step in trunk.steps}
    for window in windows:
        for name, output in float_steps(trunk, window):
            lows[name].append(output.min(axis=1))
            highs[name].append(output.max(axis=1))
        on_window()
    return Calibration(
        windows,
        {name: np.stack(rows) for name, rows in lows.items()},
        {name: np.stack(rows) for name, rows in highs.items()},
    )


def floored(values: FloatArray) -> FloatArray:
    """Keep a channel that never moves from being magnified until its rounding errors matter."""
    floor = 1e-4 * float(values.max())
    return np.maximum(values, floor if floor > 0 else 1.0)
