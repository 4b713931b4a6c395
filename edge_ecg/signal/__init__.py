"""The signal chain: from device samples to windows, beats and a verdict on quality.

The classes that run live are those that prepare training data.
"""

from .chain import SETTLE_S, WINDOW_SAMPLES, Tick, Window, WindowChain
from .iir import HIGH_PASS_HZ, Biquad, high_pass, notch
from .normalise import CalibratedNormaliser, Scale, trimmed_scale
from .quality import Quality, Reason, assess
from .resample import MODEL_FS_HZ, Resampler
from .rpeaks import detect_r_peaks, heart_rate_bpm

__all__ = [
    "HIGH_PASS_HZ",
    "MODEL_FS_HZ",
    "SETTLE_S",
    "WINDOW_SAMPLES",
    "Biquad",
    "CalibratedNormaliser",
    "Quality",
    "Reason",
    "Resampler",
    "Scale",
    "Tick",
    "Window",
    "WindowChain",
    "assess",
    "detect_r_peaks",
    "heart_rate_bpm",
    "high_pass",
    "notch",
    "trimmed_scale",
]
