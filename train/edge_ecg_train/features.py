"""Heart-rate features of a window: the baseline that every encoder has to beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_ecg.signal.resample import MODEL_FS_HZ
from edge_ecg.signal.rpeaks import detect_r_peaks, heart_rate_bpm

FEATURES = ("heart_rate_bpm", "sdnn_ms", "rmssd_ms")

_PLAUSIBLE_S = (0.25, 2.0)
_MAX_DEVIATION = 0.3


def heart_features(window: ArrayLike, fs_hz: float = MODEL_FS_HZ) -> NDArray[np.float64]:
    """Heart rate, SDNN and RMSSD of one window.

    Parameters
    ----------
    window:
        (n,) ECG of any scale and polarity.
    fs_hz:
        Its sampling rate.

    Returns
    -------
    (3,) float64: beats a minute (60 over the median interval), the standard deviation of the intervals and
    the root mean square of their successive differences, both in milliseconds (Task Force of ESC and NASPE,
    Circulation 93:1043-1065, 1996). Intervals that deviate by more than 30 % from the median (missed and
    false beats, ectopics) are left out. NaN where fewer than three intervals remain.

    """
    ecg = np.asarray(window, dtype=np.float64)
    r_peaks = detect_r_peaks(ecg, fs_hz)
    rate = heart_rate_bpm(r_peaks, fs_hz)
    rr_s = np.diff(r_peaks) / fs_hz
    plausible = (rr_s >= _PLAUSIBLE_S[0]) & (rr_s <= _PLAUSIBLE_S[1])
    if rate is None or plausible.sum() < 3:
        return np.full(len(FEATURES), np.nan)
    usual = float(np.median(rr_s[plausible]))
    plausible &= np.abs(rr_s - usual) <= _MAX_DEVIATION * usual
    successive = plausible[1:] & plausible[:-1]
    if plausible.sum() < 3 or not successive.any():
        return np.full(len(FEATURES), np.nan)
    sdnn_s = rr_s[plausible].std(ddof=1)
    rmssd_s = np.sqrt(np.mean(np.diff(rr_s)[successive] ** 2))
    return np.array([rate, 1e3 * sdnn_s, 1e3 * rmssd_s])


def heart_features_of(windows: NDArray[np.float32], fs_hz: float = MODEL_FS_HZ) -> NDArray[np.float64]:
    """:func:`heart_features` of (n, samples) windows, (n, 3)."""
    return (
        np.stack([heart_features(one, fs_hz) for one in windows])
        if len(windows)
        else np.zeros((0, len(FEATURES)))
    )
