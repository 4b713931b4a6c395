"""Heart-rate features of a window: the baseline that every encoder has to beat.

They are the runtime's own (:mod:`edge_ecg.heads.intervals`), so that a head which uses them sees on a device
what it saw in training.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_ecg.heads.intervals import INTERVAL_FEATURES, interval_features, interval_features_of
from edge_ecg.signal.resample import MODEL_FS_HZ

__all__ = [
    "FEATURES",
    "INTERVAL_FEATURES",
    "heart_features",
    "heart_features_of",
    "interval_features",
    "interval_features_of",
]

FEATURES = ("heart_rate_bpm", "sdnn_ms", "rmssd_ms")


def heart_features(window: ArrayLike, fs_hz: float = MODEL_FS_HZ) -> NDArray[np.float64]:
    """Heart rate, SDNN and RMSSD of one window (n,), float64 (3,); NaN where not determined."""
    return interval_features(window, FEATURES, fs_hz)


def heart_features_of(windows: NDArray[np.float32], fs_hz: float = MODEL_FS_HZ) -> NDArray[np.float64]:
    """:func:`heart_features` of (n, samples) windows, (n, 3)."""
    return interval_features_of(windows, FEATURES, fs_hz)
