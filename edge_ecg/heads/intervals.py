"""Features of the intervals between the beats of one window, which a head may see beside the embedding.

Beats are found by :func:`edge_ecg.signal.detect_r_peaks`, whatever the scale and polarity of the ECG.
Intervals outside 0.25 to 2 s, and those that deviate by more than 30 % from the median of the others (missed
and false beats, ectopics), are left out. The same code prepares training data and runs on a device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..samples import FloatArray
from ..signal.resample import MODEL_FS_HZ
from ..signal.rpeaks import MAX_RR_S, MIN_RR_S, detect_r_peaks, heart_rate_bpm

_MAX_DEVIATION = 0.3
_LEAST_INTERVALS = 3
# A quarter of a sample at 256 Hz: below it a deviation is the grid's, and a logarithm would make it loud.
_LEAST_DEVIATION_MS = 1.0


@dataclass(frozen=True, slots=True)
class _Intervals:
    """What is left of a window's intervals; three or more, of which two or more follow each other."""

    heart_rate_bpm: float
    rr_s: FloatArray
    successive_s: FloatArray

    def sdnn_ms(self) -> float:
        return 1e3 * float(self.rr_s.std(ddof=1))

    def rmssd_ms(self) -> float:
        return 1e3 * float(np.sqrt(np.mean(self.successive_s**2)))


def _log(value: float) -> float:
    return float(np.log(max(value, _LEAST_DEVIATION_MS)))


_FEATURES: dict[str, Callable[[_Intervals], float]] = {
    "heart_rate_bpm": lambda beats: beats.heart_rate_bpm,
    "sdnn_ms": _Intervals.sdnn_ms,
    "rmssd_ms": _Intervals.rmssd_ms,
    "log_heart_rate": lambda beats: float(np.log(beats.heart_rate_bpm)),
    "log_sdnn": lambda beats: _log(beats.sdnn_ms()),
    "log_rmssd": lambda beats: _log(beats.rmssd_ms()),
    "mean_rr_ms": lambda beats: 1e3 * float(beats.rr_s.mean()),
    "rr_range_ms": lambda beats: 1e3 * float(np.ptp(beats.rr_s)),
    "pnn20": lambda beats: 100.0 * float(np.mean(np.abs(beats.successive_s) > 0.02)),
}

INTERVAL_FEATURES: tuple[str, ...] = tuple(_FEATURES)
"""All names, each with its meaning in :func:`interval_features`."""


def interval_features(
    window: ArrayLike, names: Sequence[str] = INTERVAL_FEATURES, fs_hz: float = MODEL_FS_HZ
) -> NDArray[np.float64]:
    """Interval features of one window.

    Parameters
    ----------
    window:
        (n,) ECG of any scale and polarity, high-passed; 2560 samples where a model sees it.
    names:
        Which features, in the order wanted:

        ``heart_rate_bpm``
            60 over the median of the plausible intervals, beats a minute.
        ``mean_rr_ms``, ``sdnn_ms``, ``rmssd_ms``
            Mean and standard deviation of the intervals, and the root mean square of the differences of
            successive ones, in milliseconds (Task Force of ESC and NASPE, Circulation 93:1043-1065, 1996).
        ``rr_range_ms``
            The longest minus the shortest interval, in milliseconds (in beats a minute it is HR max - HR min
            of Shaffer and Ginsberg, Frontiers in Public Health 5:258, 2017): the depth of respiratory
            arrhythmia, since a window holds two or three breaths.
        ``pnn20``
            Successive differences of more than 20 ms, in per cent (Mietus et al., Heart 88:378-380, 2002).
        ``log_heart_rate``, ``log_sdnn``, ``log_rmssd``
            Natural logarithms, whose distribution over people is nearly normal (Shaffer and Ginsberg);
            deviations below 1 ms count as 1 ms, so all are finite.
    fs_hz:
        Its sampling rate.

    Returns
    -------
    (k,) float64; all NaN where fewer than three intervals remain, or no two that follow each other.

    Raises
    ------
    ValueError
        When a name is not one of ``INTERVAL_FEATURES``.

    """
    wanted = [_feature(name) for name in names]
    beats = _intervals(np.asarray(window, dtype=np.float64), fs_hz) if wanted else None
    if beats is None:
        return np.full(len(wanted), np.nan)
    return np.array([feature(beats) for feature in wanted])


def interval_features_of(
    windows: NDArray[np.floating], names: Sequence[str] = INTERVAL_FEATURES, fs_hz: float = MODEL_FS_HZ
) -> NDArray[np.float64]:
    """:func:`interval_features` of (n, samples) windows, (n, k)."""
    found = np.empty((len(windows), len(names)))
    for row, window in zip(found, windows, strict=True):
        row[:] = interval_features(window, names, fs_hz)
    return found


def _feature(name: str) -> Callable[[_Intervals], float]:
    try:
        return _FEATURES[name]
    except KeyError as error:
        raise ValueError(
            f"there is no interval feature {name!r}; there are {', '.join(INTERVAL_FEATURES)}"
        ) from error


def _intervals(ecg: FloatArray, fs_hz: float) -> _Intervals | None:
    r_peaks = detect_r_peaks(ecg, fs_hz)
    rate = heart_rate_bpm(r_peaks, fs_hz)
    rr_s = np.diff(r_peaks) / fs_hz
    plausible = (rr_s >= MIN_RR_S) & (rr_s <= MAX_RR_S)
    if rate is None or plausible.sum() < _LEAST_INTERVALS:
        return None
    usual = float(np.median(rr_s[plausible]))
    plausible &= np.abs(rr_s - usual) <= _MAX_DEVIATION * usual
    successive = plausible[1:] & plausible[:-1]
    if plausible.sum() < _LEAST_INTERVALS or not successive.any():
        return None
    return _Intervals(rate, rr_s[plausible], np.diff(rr_s)[successive])
