"""How fast an LSL stream is, by its first stamps."""

from __future__ import annotations

import numpy as np

from edge_ecg_bridge.stream import FloatArray

WARM_UP_S = 2.0
"""Of stamps that are looked at when a stream claims a rate."""
NEAR = 0.6
"""Samples: between the smallest loss, which is one, and none."""


def measure_rate(stamps: FloatArray) -> tuple[float, float, int]:
    """Measure how fast a stream is by its first stamps, (n,) with n ≥ 4.

    Returns
    -------
    period_s, scatter_s, left_out:
        Seconds between samples, rms distance of the stamps from their line, and how many at the front must
        be left out first (then the others are 0): where one step stands out, there was a loss, which would
        spoil the line.

    """
    steps = np.diff(stamps)
    odd = np.abs(steps - np.median(steps))
    worst = int(np.argmax(odd))
    if odd[worst] > max(NEAR * float(np.median(steps)), 3.0 * float(np.sort(odd)[-3])):
        return 0.0, 0.0, worst + 1
    numbers = np.arange(len(stamps)) - (len(stamps) - 1) / 2
    period_s = float(numbers @ (stamps - stamps.mean()) / (numbers @ numbers))
    scatter = stamps - stamps.mean() - period_s * numbers
    return period_s, float(np.sqrt(np.mean(scatter**2))), 0
