"""The signal chain: from device samples to windows, beats and a verdict on quality.

The classes that run live are those that prepare training data.
"""

from .chain import BRIDGE_S, SETTLE_S, WINDOW_SAMPLES, Tick, WindowChain
from .clock import HostClock
from .iir import HIGH_PASS_HZ, Biquad, high_pass, notch
from .losses import RECENT_S, Losses
from .motion import MOTION_G, movement_g
from .normalise import CalibratedNormaliser, Scale, trimmed_scale
from .quality import Quality, Reason, assess
from .resample import MODEL_FS_HZ, Resampler
from .rpeaks import detect_r_peaks, heart_rate_bpm
from .segment import Window
from .timed import TimedResampler

__all__ = [
    "BRIDGE_S",
    "HIGH_PASS_HZ",
    "MODEL_FS_HZ",
    "MOTION_G",
    "RECENT_S",
    "SETTLE_S",
    "WINDOW_SAMPLES",
    "Biquad",
    "CalibratedNormaliser",
    "HostClock",
    "Losses",
    "Quality",
    "Reason",
    "Resampler",
    "Scale",
    "Tick",
    "TimedResampler",
    "Window",
    "WindowChain",
    "assess",
    "detect_r_peaks",
    "heart_rate_bpm",
    "high_pass",
    "movement_g",
    "notch",
    "trimmed_scale",
]
