"""Whether a window can carry a decision, and if not, why and what a person can do about it.

Four things make a heartbeat in a window believable, whatever the rhythm and the polarity; each becomes a mark
from 0 to 1 that is 0.5 where a window stops being good, and the weakest of them is the score:

prominence
    the beats stand out from the QRS band between them. A detector finds "beats" in any noise, but only
    those of an ECG rise far above what lies between.
likeness
    the beats look like their own median: most of them closely, the rest (ectopic ones) on the whole.
    Noise that a detector lined up does so only halfway.
rebound
    the deflection comes back. Steps (a sawtooth, a loose contact) do not.
cleanness
    little above 40 Hz for the size of the beats: no mains, no muscles, no impulses. Not in the whole
    window, and, with a little more grace, not in any second of it: what an open input picks up for two
    seconds is lost in the mean of ten.

None asks for regular intervals, so an arrhythmia is not noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ..samples import FloatArray
from .motion import MOTION_G
from .resample import MODEL_FS_HZ
from .rpeaks import QrsBand, heart_rate_bpm, low_pass
from .segment import Window


class Reason(StrEnum):
    """Why there is no decision."""

    WARMING_UP = "warming_up"
    GAP = "gap"
    LEAD_OFF = "lead_off"
    FLAT = "flat"
    SATURATED = "saturated"
    NOISY = "noisy"
    MOTION = "motion"
    LOW_CONFIDENCE = "low_confidence"

    @property
    def advice(self) -> str:
        """One sentence for the person who wears the electrodes."""
        return _ADVICE[self]


_ADVICE = {
    Reason.WARMING_UP: "Wait: the first decision needs eleven seconds of signal.",
    Reason.GAP: "Samples were lost on the way: move closer to the receiver; it resumes after eleven seconds.",
    Reason.LEAD_OFF: "An electrode is off: press all of them on, and moisten or replace dry ones.",
    Reason.FLAT: "The signal stands still: check that the cable is plugged in and the electrodes touch skin.",
    Reason.SATURATED: "The signal is cut off at its limit: let the electrodes settle, or lower the gain.",
    Reason.NOISY: "No clear heartbeat: sit still, check the electrodes, keep cables away from mains.",
    Reason.MOTION: "You are moving: sit down and keep still; it resumes ten seconds after you do.",
    Reason.LOW_CONFIDENCE: "The model is not sure: keep still; more signal may settle it.",
}


@dataclass(frozen=True, slots=True)
class Quality:
    """What a window is worth.

    Attributes
    ----------
    score:
        1 for a clean ECG, below 0.5 where no heartbeat can be trusted, 0 for none; falls with noise.
    reasons:
        Empty when the window can carry a decision.
    r_peaks:
        (k,) int64 samples within the window; what the detector took for beats, also where it is noise.
    heart_rate_bpm:
        None where the beats cannot be trusted.

    """

    score: float
    reasons: tuple[Reason, ...]
    r_peaks: NDArray[np.int64]
    heart_rate_bpm: float | None

    @property
    def good(self) -> bool:
        """Whether the window can carry a decision."""
        return not self.reasons


# Shares of a window's time. A fifth of a second of lead-off is a flicker; half a second of stand-still is
# five times the longest that any open recording with beats repeats a value (92 ms); 50 ms at a limit is more
# than rounded peaks on coarse converters add up to (48 ms).
_MAX_LEAD_OFF, _MAX_FLAT, _MAX_SATURATED = 0.02, 0.05, 0.005
# Samples that were drawn in over short holes: a fifth of a second, two QRS complexes.
_MAX_BRIDGED = 0.02
# Less than this from lowest to highest is the input noise of a converter, not a heart.
_FLAT_MV = 0.02

_GOOD_SCORE = 0.5
_MAX_PAUSE_S = 3.0
_MIN_BEATS = 4

# Where each mark is 0 and where it is 1; half-way between them a window stops being good.
_PROMINENCE_DB = (5.0, 15.0)
_LIKENESS = (0.6, 1.0)
_UNANIMITY = (0.3, 0.9)
_REBOUND = (0.05, 0.35)
_ROUGHNESS = (0.24, 0.0)
# Of the roughest second. In no good window of the open recordings does it exceed 0.1.
_ROUGHEST = (0.3, 0.0)

_BEAT_HALF_S = 0.1
_REBOUND_HALF_S = 0.06
_BETWEEN_BEATS_S = 0.15
_SMOOTH_HZ = 40.0


def assess(window: Window) -> Quality:
    """Judge one window."""
    ecg = window.ecg_mv
    band = QrsBand(ecg, MODEL_FS_HZ)
    r_peaks = band.r_peaks()
    rate = heart_rate_bpm(r_peaks, MODEL_FS_HZ)
    score = _score(ecg, band, r_peaks)
    reasons = []
    if window.lead_off > _MAX_LEAD_OFF:
        reasons.append(Reason.LEAD_OFF)
    if window.flat > _MAX_FLAT or float(np.ptp(ecg)) < _FLAT_MV:
        reasons.append(Reason.FLAT)
    if window.saturated > _MAX_SATURATED:
        reasons.append(Reason.SATURATED)
    if window.bridged > _MAX_BRIDGED:
        reasons.append(Reason.GAP)
    trusted = score >= _GOOD_SCORE and rate is not None and not _pauses(r_peaks, len(ecg))
    if not trusted and not reasons:
        reasons.append(Reason.NOISY)
    if window.motion_g > MOTION_G:
        reasons.append(Reason.MOTION)
    return Quality(score, tuple(reasons), r_peaks, rate if trusted else None)


def _pauses(r_peaks: NDArray[np.int64], n: int) -> bool:
    """Whether there is a longer time without a beat than a resting heart takes."""
    marks = np.concatenate([[0], r_peaks, [n]])
    return bool(np.diff(marks).max() > _MAX_PAUSE_S * MODEL_FS_HZ)


def _score(ecg_mv: FloatArray, band: QrsBand, r_peaks: NDArray[np.int64]) -> float:
    half = round(_BEAT_HALF_S * MODEL_FS_HZ)
    whole = r_peaks[(r_peaks >= half) & (r_peaks < len(ecg_mv) - half)]
    if len(whole) < _MIN_BEATS:
        return 0.0
    smooth = low_pass(ecg_mv, _SMOOTH_HZ, MODEL_FS_HZ)
    beats = smooth[whole[:, None] + np.arange(-half, half + 1)]
    beats = beats - beats.mean(axis=1, keepdims=True)
    median = np.median(beats, axis=0)
    size = float(np.ptp(median))
    if not size > 0.0:
        return 0.0
    likeness = _likeness(beats, median)
    rough = (ecg_mv - smooth) ** 2
    return min(
        _mark(_prominence_db(band.strength, r_peaks), _PROMINENCE_DB),
        _mark(float(np.median(likeness)), _LIKENESS),
        _mark(float(np.mean(likeness)), _UNANIMITY),
        _mark(_rebound(median), _REBOUND),
        _mark(math.sqrt(float(np.mean(rough))) / size, _ROUGHNESS),
        _mark(math.sqrt(_roughest_second(rough)) / size, _ROUGHEST),
    )


def _mark(value: float, span: tuple[float, float]) -> float:
    zero, one = span
    return min(max((value - zero) / (one - zero), 0.0), 1.0)


def _roughest_second(squares: FloatArray) -> float:
    """The largest mean of ``squares`` (n,) over a second, of those that begin at every half second."""
    half = round(0.5 * MODEL_FS_HZ)
    halves = squares[: len(squares) // half * half].reshape(-1, half).mean(axis=1)
    return float((halves[:-1] + halves[1:]).max()) / 2.0


def _prominence_db(strength: FloatArray, r_peaks: NDArray[np.int64]) -> float:
    """The median beat's strength over the 90th percentile of the strength between beats."""
    reach = round(_BETWEEN_BEATS_S * MODEL_FS_HZ)
    edges = np.zeros(len(strength) + 1)
    np.add.at(edges, np.maximum(r_peaks - reach, 0), 1.0)
    np.add.at(edges, np.minimum(r_peaks + reach + 1, len(strength)), -1.0)
    between = np.cumsum(edges[:-1]) == 0.0
    if between.sum() < MODEL_FS_HZ / 2:
        return 0.0
    near = np.arange(-reach // 3, reach // 3 + 1)
    at_beats = strength[np.clip(r_peaks[:, None] + near, 0, len(strength) - 1)].max(axis=1)
    floor = float(np.percentile(strength[between], 90.0))
    return 20.0 * math.log10(max(float(np.median(at_beats)), 1e-12) / max(floor, 1e-12))


def _likeness(beats: FloatArray, median: FloatArray) -> FloatArray:
    """(k,) correlations of the beats (k, m) with their median (m,)."""
    norms = np.linalg.norm(beats, axis=1) * np.linalg.norm(median)
    correlations: FloatArray = beats @ median / np.maximum(norms, 1e-12)
    return correlations


def _rebound(median: FloatArray) -> float:
    """How much of the larger flank the smaller one takes back within 60 ms, less the shift that stays."""
    centre, half = len(median) // 2, round(_REBOUND_HALF_S * MODEL_FS_HZ)
    core = median[centre - half : centre + half + 1]
    rise = float((core - np.minimum.accumulate(core)).max())
    fall = float((np.maximum.accumulate(core) - core).max())
    end = len(median) // 5
    shift = abs(float(median[-end:].mean() - median[:end].mean())) / float(np.ptp(median))
    return min(rise, fall) / max(rise, fall, 1e-12) - shift
