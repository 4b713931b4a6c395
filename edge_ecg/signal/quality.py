"""Whether a window can carry a decision, and if not, why and what a person can do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ..samples import FloatArray
from .chain import Window
from .resample import MODEL_FS_HZ
from .rpeaks import detect_r_peaks, heart_rate_bpm, qrs_band


class Reason(StrEnum):
    """Why there is no decision."""

    WARMING_UP = "warming_up"
    GAP = "gap"
    LEAD_OFF = "lead_off"
    FLAT = "flat"
    SATURATED = "saturated"
    NOISY = "noisy"
    LOW_CONFIDENCE = "low_confidence"

    @property
    def advice(self) -> str:
        """One sentence for the person who wears the electrodes."""
        return _ADVICE[self]


_ADVICE = {
    Reason.WARMING_UP: "Wait: the first decision needs eleven seconds of signal.",
    Reason.GAP: "Samples were lost on the way: move closer to the receiver; it resumes after eleven seconds.",
    Reason.LEAD_OFF: "An electrode is off: press all of them on, and moisten or replace dry ones.",
    Reason.FLAT: "The signal stands still: check that the cable is plugged in and the electrodes touch skin",
    Reason.SATURATED: "The signal is cut off at its limit: let the electrodes settle, or lower the gain.",
    Reason.NOISY: "No clear heartbeat: sit still, check the electrodes, keep cables away from mains.",
    Reason.LOW_CONFIDENCE: "The model is not sure: keep still, more signal may settle it.",
}


@dataclass(frozen=True, slots=True)
class Quality:
    """What a window is worth.

    Attributes
    ----------
    score:
        0 (no trace of a heartbeat) to 1 (clean); falls with noise.
    reasons:
        Empty when the window can carry a decision.
    r_peaks:
        (k,) int64 samples within the window.
    heart_rate_bpm:
        None where the window is not good, or holds too few beats.
    """

    score: float
    reasons: tuple[Reason, ...]
    r_peaks: NDArray[np.int64]
    heart_rate_bpm: float | None

    @property
    def good(self) -> bool:
        """Whether the window can carry a decision."""
        return not self.reasons


_MAX_LEAD_OFF = 0.02
_MAX_FLAT = 0.1
_MAX_SATURATED = 0.005
_MIN_SCORE = 0.5


def assess(window: Window) -> Quality:
    """Judge one window."""
    r_peaks = detect_r_peaks(window.ecg_mv, MODEL_FS_HZ)
    rate = heart_rate_bpm(r_peaks, MODEL_FS_HZ)
    score = beat_score(window.ecg_mv, r_peaks, MODEL_FS_HZ)
    reasons = []
    if window.lead_off > _MAX_LEAD_OFF:
        reasons.append(Reason.LEAD_OFF)
    if window.flat > _MAX_FLAT:
        reasons.append(Reason.FLAT)
    if window.saturated > _MAX_SATURATED:
        reasons.append(Reason.SATURATED)
    if not reasons and (score < _MIN_SCORE or rate is None):
        reasons.append(Reason.NOISY)
    return Quality(score, tuple(reasons), r_peaks, rate)


def beat_score(ecg_mv: FloatArray, r_peaks: NDArray[np.int64], fs_hz: float) -> float:
    """How alike the beats are: the median correlation of each with the median beat, 0..1."""
    half = round(0.1 * fs_hz)
    inside = r_peaks[(r_peaks >= half) & (r_peaks < len(ecg_mv) - half)]
    if len(inside) < 4:
        return 0.0
    beats = qrs_band(ecg_mv, fs_hz)[inside[:, None] + np.arange(-half, half + 1)]
    beats = beats - beats.mean(axis=1, keepdims=True)
    median = np.median(beats, axis=0)
    norm = np.linalg.norm(beats, axis=1) * np.linalg.norm(median)
    return float(np.clip(np.median(beats @ median / np.maximum(norm, 1e-12)), 0.0, 1.0))
