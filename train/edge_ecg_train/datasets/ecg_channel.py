"""Which channel of a file is an ECG: by what is in it, where its name does not settle that."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_ecg.samples import FloatArray
from edge_ecg.signal import MODEL_FS_HZ, Resampler, detect_r_peaks, high_pass

EXCERPT_S = 20.0
# Of a resting or working person, and of a channel that holds nothing but ECG.
_RATE_BPM = (40.0, 180.0)
_STEADY = 0.25
_SETTLE_S = 2.0

ReadSeconds = Callable[[float, float], FloatArray]
"""Gives the samples of a stretch: first second, number of seconds."""


def holds_ecg(read: ReadSeconds, fs_hz: float, duration_s: float) -> bool:
    """Whether what a detector takes for R peaks is plausible, in at least half of five excerpts.

    Plausible means 40 to 180 a minute, and two thirds of the intervals within a quarter of their median. A
    channel of pulses passes, too: names go first, this only rejects.
    """
    length_s = min(EXCERPT_S, duration_s)
    places = np.linspace(0.0, duration_s - length_s, 7)[1:-1]
    verdicts = [_is_plausible(read(float(place), length_s), fs_hz) for place in places]
    return 2 * sum(verdicts) >= len(verdicts)


def _is_plausible(signal: FloatArray, fs_hz: float) -> bool:
    if len(signal) < 2 * _SETTLE_S * fs_hz or not np.isfinite(signal).all():
        return False
    resampler = Resampler(fs_hz)
    x = np.concatenate([resampler.process(signal - np.median(signal)), resampler.flush()])
    x = high_pass(MODEL_FS_HZ).process(x)[round(_SETTLE_S * MODEL_FS_HZ) :]
    if not float(np.ptp(x)) > 0.0:
        return False
    intervals_s = np.diff(detect_r_peaks(x, MODEL_FS_HZ)) / MODEL_FS_HZ
    if len(intervals_s) < 4:
        return False
    median_s = float(np.median(intervals_s))
    steady = np.abs(intervals_s - median_s) <= _STEADY * median_s
    return _RATE_BPM[0] <= 60.0 / median_s <= _RATE_BPM[1] and float(np.mean(steady)) >= 2 / 3
