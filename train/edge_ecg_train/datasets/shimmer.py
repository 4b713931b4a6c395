"""What the ECG of AMIGOS, DREAMER and ASCERTAIN has in common: a Shimmer sensor, and owners who name no unit.

The scale of an ECG does not reach the network, for windows are normalised; but the quality check calls a
signal flat that moves by less than 0.02 mV. So the unit is told from the size of the numbers: a heart beat
has about a millivolt.
"""

from __future__ import annotations

import numpy as np

from edge_ecg.samples import FloatArray

# Shimmer's 12-bit ECG board: 3 V over 4095 steps after a gain of 175, zero at step 2060 (the default
# calibration of Shimmer's own software).
_STEPS, _ZERO_STEP, _MV_PER_STEP = 4095, 2060.0, 3000.0 / 4095.0 / 175.0
_MIDDLE_STEPS = (1000.0, 3200.0)
# A second of ECG spans some tenths of a millivolt to some millivolts: a thousand times as many microvolts.
_MICROVOLTS_FROM = 50.0

_MAX_JITTER_STEPS = 5.0
_MAX_RATE_ERROR = 0.05


def millivolts(values: FloatArray, fs_hz: float) -> FloatArray:
    """(n,) numbers of unknown unit as (n,) millivolts.

    Numbers that are millivolts come back as they are. Steps of the 12-bit converter are known by their
    range (0 to 4095, around the middle), microvolts by their size.
    """
    finite = values[np.isfinite(values)]
    second = round(fs_hz)
    if len(finite) < second:
        return values
    low, high = float(finite.min()), float(finite.max())
    if low >= 0.0 and high <= _STEPS and _MIDDLE_STEPS[0] <= np.median(finite) <= _MIDDLE_STEPS[1]:
        return (values - _ZERO_STEP) * _MV_PER_STEP
    pieces = finite[: len(finite) // second * second].reshape(-1, second)
    return values / 1000.0 if np.median(np.ptp(pieces, axis=1)) >= _MICROVOLTS_FROM else values


def at_their_times(values: FloatArray, t_ms: FloatArray, fs_hz: float) -> FloatArray:
    """Put NaN where the timestamps show that samples were lost.

    Parameters
    ----------
    values:
        (n,) or (n, leads) samples.
    t_ms:
        (n,) their times in milliseconds.
    fs_hz:
        Nominal rate.

    Returns
    -------
    (n + lost, ...) samples at the nominal rate. Steps of up to five samples count as jitter. Timestamps that
    do not rise, are of another rate, or would more than double the recording are not believed: the samples
    come back as they are.

    """
    if len(values) < 2 or not np.isfinite(t_ms).all():
        return values
    steps = np.diff(t_ms) * fs_hz / 1000.0
    if steps.min() <= 0.0 or abs(float(np.median(steps)) - 1.0) > _MAX_RATE_ERROR:
        return values
    lost = np.where(steps > _MAX_JITTER_STEPS, np.rint(steps) - 1.0, 0.0)
    total = float(lost.sum())
    if total == 0.0 or total > len(values):
        return values
    places = np.arange(len(values)) + np.concatenate([[0], np.cumsum(lost).astype(np.int64)])
    placed = np.full((len(values) + int(total), *values.shape[1:]), np.nan)
    placed[places] = values
    return placed
